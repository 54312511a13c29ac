package dev.hotfork.subjects;

import static dev.hotfork.subjects.Subject.require;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.Supplier;
import java.util.zip.CRC32;

/**
 * Computations that know their results. A register, a flag of the CPU, a signal handler or a page that does not come
 * back as it was gives a wrong one.
 */
final class Workloads {
    private static final int SEEDS = 32;

    private Workloads() {
    }

    /** Does some tenths of a millisecond to some milliseconds of work, throws when a result is wrong. */
    @FunctionalInterface
    interface Workload {
        void round() throws Exception;
    }

    /** One maker for each kind; what a maker returns belongs to one thread. */
    static Map<String, Supplier<Workload>> all() {
        Map<String, Supplier<Workload>> all = new LinkedHashMap<>();
        all.put("longs", () -> longs(50_000));
        all.put("doubles", Workloads::doubles);
        all.put("vectors", Workloads::vectors);
        all.put("strings", Workloads::strings);
        all.put("digests", Workloads::digests);
        all.put("exceptions", Workloads::exceptions);
        all.put("objects", Workloads::objects);
        all.put("clock", Workloads::clock);
        return all;
    }

    private interface Function {
        long apply(long seed) throws Exception;
    }

    /** Computes a pure function again and again: its results must stay those of the first time. */
    private static Workload repeated(String name, Function function) {
        long[] expected = new long[SEEDS];
        int[] rounds = {0};
        return () -> {
            int seed = rounds[0] % SEEDS;
            long result = function.apply(seed + 1);
            if (rounds[0]++ < SEEDS) {
                expected[seed] = result;
            } else {
                require(result == expected[seed], "%s of %d gave %x, not %x", name, seed, result, expected[seed]);
            }
        };
    }

    static Workload longs(int steps) {
        return repeated("longs", seed -> {
            long a = seed;
            long b = ~seed;
            for (int i = 0; i < steps; i++) {
                a ^= a << 13;
                a ^= a >>> 7;
                b = Long.rotateLeft(b * 0x9E3779B97F4A7C15L + a, 29);
                a += b % 1013;
            }
            return a ^ b;
        });
    }

    /** Never a NaN, which has more than one form. */
    private static Workload doubles() {
        return repeated("doubles", seed -> {
            double x = seed;
            double sum = 0;
            for (int i = 1; i < 30_000; i++) {
                x = Math.sqrt(Math.abs(x) * 1.37 + i) - x / (i + 0.5);
                sum += Math.abs(x) + (float) x;
            }
            return Double.doubleToRawLongBits(sum);
        });
    }

    /** Loops of the shapes that C2 makes vector code of. */
    private static Workload vectors() {
        int[] a = new int[10_000];
        int[] b = new int[a.length];
        double[] d = new double[a.length];
        byte[] bytes = new byte[a.length];
        return repeated("vectors", seed -> {
            for (int i = 0; i < a.length; i++) {
                a[i] = i * (int) seed;
                d[i] = i * 0.5;
                bytes[i] = (byte) (i + seed);
            }
            for (int round = 0; round < 10; round++) {
                for (int i = 0; i < a.length; i++) {
                    b[i] = a[i] * 31 + (b[i] >>> 3);
                }
                for (int i = 0; i < d.length; i++) {
                    d[i] = d[i] * 1.0625 + seed;
                }
            }
            long sum = 0;
            for (int i = 0; i < b.length; i++) {
                sum += b[i];
            }
            CRC32 crc = new CRC32();
            crc.update(bytes);
            long result = sum * 31 + Arrays.hashCode(d) + crc.getValue();
            Arrays.fill(b, 0);
            return result;
        });
    }

    private static Workload strings() {
        return repeated("strings", seed -> {
            Map<String, Integer> lengths = new HashMap<>();
            StringBuilder all = new StringBuilder();
            for (int i = 0; i < 300; i++) {
                String text = "entry-" + seed + "-" + i * 7919;
                int hash = 0;
                for (int at = 0; at < text.length(); at++) {
                    hash = hash * 31 + text.charAt(at);
                }
                require(hash == text.hashCode(), "hash of %s is %d, not %d", text, text.hashCode(), hash);
                lengths.put(text, text.length());
                all.append(text).append(i % 2 == 0 ? ' ' : '\u00e9');
            }
            String joined = all.toString();
            for (Map.Entry<String, Integer> entry : lengths.entrySet()) {
                int at = joined.indexOf(entry.getKey());
                require(at >= 0 && joined.startsWith(entry.getKey(), at), "%s is lost", entry.getKey());
                require(entry.getKey().length() == entry.getValue(), "%s has another length", entry.getKey());
            }
            byte[] utf8 = joined.getBytes(StandardCharsets.UTF_8);
            require(joined.equals(new String(utf8, StandardCharsets.UTF_8)), "text does not survive UTF-8");
            return joined.toUpperCase().hashCode();
        });
    }

    private static Workload digests() {
        return repeated("digests", seed -> {
            MessageDigest sha = MessageDigest.getInstance("SHA-256");
            byte[] link = Long.toString(seed).getBytes(StandardCharsets.US_ASCII);
            for (int i = 0; i < 300; i++) {
                link = sha.digest(link);
            }
            return Arrays.hashCode(link);
        });
    }

    /** Thrown ones, and those that HotSpot makes of SIGSEGV and SIGFPE. */
    private static Workload exceptions() {
        return repeated("exceptions", seed -> {
            long caught = 0;
            for (int i = 0; i < 300; i++) {
                try {
                    fail(i % 5, i % 40, null, new int[3], 0);
                } catch (NullPointerException e) {
                    caught = caught * 7 + 1;
                } catch (ArithmeticException e) {
                    caught = caught * 7 + 2;
                } catch (ArrayIndexOutOfBoundsException e) {
                    caught = caught * 7 + 3;
                } catch (ClassCastException e) {
                    caught = caught * 7 + 4;
                } catch (IllegalStateException e) {
                    caught = caught * 7 + e.getMessage().length();
                }
            }
            return caught;
        });
    }

    private static int fail(int how, int depth, String nothing, int[] three, int zero) {
        if (depth > 0) {
            try {
                return fail(how, depth - 1, nothing, three, zero) + 1;
            } finally {
                three[0]++;
            }
        }
        switch (how) {
            case 0:
                return nothing.length();
            case 1:
                return how / zero;
            case 2:
                return three[how + 1];
            case 3:
                return ((String) (Object) three).length();
            default:
                throw new IllegalStateException("x".repeat(three.length));
        }
    }

    /** Objects of all ages, each with its content and its identity hash. */
    private static Workload objects() {
        final class Thing {
            final long content;
            final long[] copies;
            int identity;

            Thing(long content) {
                this.content = content;
                copies = new long[(int) (content & 15)];
                Arrays.fill(copies, content);
                identity = System.identityHashCode(this);
            }

            void verify() {
                require(identity == System.identityHashCode(this), "an object has another identity hash");
                for (long copy : copies) {
                    require(copy == content, "an object has the content %x, not %x", copy, content);
                }
            }
        }
        Thing[] things = new Thing[20_000];
        SplittableRandom random = new SplittableRandom(things.length);
        return () -> {
            for (int i = 0; i < 2000; i++) {
                int at = random.nextInt(things.length);
                if (things[at] != null) {
                    things[at].verify();
                }
                things[at] = new Thing(random.nextLong());
            }
        };
    }

    private static Workload clock() {
        long[] last = {System.nanoTime()};
        return () -> {
            for (int i = 0; i < 2000; i++) {
                long now = System.nanoTime();
                require(now - last[0] >= 0, "nanoTime went back by %d ns", last[0] - now);
                last[0] = now;
            }
        };
    }
}
