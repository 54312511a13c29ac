import java.io.BufferedReader;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.util.function.IntUnaryOperator;

/**
 * Answers each line of stdin, for tests of the command line. "exit N" ends it with that status, "ready" says so to
 * Hotfork, if its jar is there, "work" keeps a processor busy from then on, "many" does so in more methods than a small
 * code cache can hold, "turns" does so now and then, in several threads, "cut?" asks how many of these were in the middle of their work
 * when the image was taken, "other work" gives it work that needs other classes and other code, "work?" asks which it is,
 * "hold FILE" keeps a file open for writing, "env NAME" asks for a variable of the environment.
 */
public final class Cat {
    private static volatile IntUnaryOperator[] others = {};

    private static FileOutputStream held;

    private Cat() {
    }

    public static void main(String[] args) throws Exception {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("HOOK ran")));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        System.out.println("READY " + String.join(" ", args));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            if (line.startsWith("exit ")) {
                System.exit(Integer.parseInt(line.substring("exit ".length())));
            }
            if (line.startsWith("fail ")) {
                System.err.println(line.substring("fail ".length()));
            }
            if (line.equals("ready")) {
                System.out.println("ready? " + Class.forName("dev.hotfork.Hotfork").getMethod("ready").invoke(null));
            }
            if (line.equals("work") || line.equals("many")) {
                Thread worker = new Thread(line.equals("work") ? Cat::work : Many::work, "worker");
                worker.setDaemon(true);
                worker.start();
            }
            if (line.equals("turns")) {
                Turns.begin();
            }
            if (line.equals("cut?")) {
                System.out.println("cut " + Turns.cut());
            }
            if (line.equals("other work")) {
                others = manyOthers();
            }
            if (line.equals("work?")) {
                System.out.println("work of " + others.length + " other classes");
            }
            if (line.startsWith("env ")) {
                String name = line.substring("env ".length());
                System.out.println(name + " is " + System.getenv(name));
            }
            if (line.startsWith("hold ")) {
                held = new FileOutputStream(line.substring("hold ".length()));
            }
            System.out.println("heard " + line);
        }
        System.out.println("END");
    }

    /** The same few methods until there is other work, and then those of many classes. */
    private static void work() {
        byte[] bytes = new byte[4096];
        java.util.zip.CRC32 checksum = new java.util.zip.CRC32();
        java.util.Map<Integer, String> seen = new java.util.HashMap<>();
        for (int round = 0; ; round++) {
            for (IntUnaryOperator other : others) {
                round = other.applyAsInt(round);
            }
            java.util.Arrays.fill(bytes, (byte) round);
            checksum.update(bytes);
            seen.put(round % 1000, Long.toHexString(checksum.getValue() + seen.size()));
        }
    }

    /** One class for each of so many loaders. */
    private static IntUnaryOperator[] manyOthers() throws IOException, ReflectiveOperationException {
        byte[] bytes;
        try (InputStream in = Cat.class.getResourceAsStream("Cat$Other.class")) {
            bytes = in.readAllBytes();
        }
        IntUnaryOperator[] operators = new IntUnaryOperator[150];
        for (int i = 0; i < operators.length; i++) {
            Object other = new Loader().define(bytes).getDeclaredConstructor().newInstance();
            operators[i] = (IntUnaryOperator) other;
        }
        return operators;
    }

    private static final class Loader extends ClassLoader {
        Class<?> define(byte[] bytes) {
            return defineClass("Cat$Other", bytes, 0, bytes.length);
        }
    }

    /** Public for the loaders that do not share a package with Cat. */
    public static final class Other implements IntUnaryOperator {
        /** Called by reflection. */
        public Other() {
        }

        @Override
        public int applyAsInt(int round) {
            int sum = 0;
            for (int i = 0; i < 100; i++) {
                sum = sum * 31 + (round ^ i);
            }
            return sum == 0 ? 1 : round + 1;
        }
    }
}
