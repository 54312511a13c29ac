package dev.hotfork.subjects;

import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Many small objects that threads replace and verify without a rest, so that a collector that marks or moves objects
 * beside the application always has something to do. HotSpot verifies the heap at each collection.
 */
@Traits(
    heap = 128,
    options = "-XX:+UnlockDiagnosticVMOptions -XX:+VerifyBeforeGC -XX:+VerifyAfterGC")
public final class ConcurrentCycles extends Subject {
    private static final int CHAINS = 25_000;
    private static final int LENGTH = 12;

    private final AtomicLong first = new AtomicLong();
    private final AtomicLong second = new AtomicLong();
    private final Map<String, AtomicLong> rounds = Map.of("the first thread", first, "the second thread", second);

    private static final class Link {
        final Link next;
        final long value;

        Link(Link next, long value) {
            this.next = next;
            this.value = value;
        }
    }

    public static void main(String[] args) {
        new ConcurrentCycles().run(args);
    }

    @Override
    protected void setUp() {
        start("first", () -> replace(1, first));
        start("second", () -> replace(2, second));
        allAdvance(rounds, 3);
    }

    @Override
    protected void check() {
        allAdvance(rounds, 3);
        System.gc();
        allAdvance(rounds, 3);
    }

    /** Each round takes as many steps as there are chains. */
    private static void replace(long seed, AtomicLong rounds) {
        SplittableRandom random = new SplittableRandom(seed);
        Link[] chains = new Link[CHAINS];
        long[] seeds = new long[CHAINS];
        while (true) {
            for (int step = 0; step < CHAINS; step++) {
                int at = random.nextInt(CHAINS);
                if (chains[at] != null) {
                    verify(chains[at], seeds[at]);
                }
                seeds[at] = random.nextLong();
                chains[at] = chain(seeds[at]);
            }
            for (int at = 0; at < CHAINS; at++) {
                if (chains[at] != null) {
                    verify(chains[at], seeds[at]);
                }
            }
            rounds.incrementAndGet();
        }
    }

    private static Link chain(long seed) {
        Link chain = null;
        for (int i = 0; i < LENGTH; i++) {
            chain = new Link(chain, seed + i);
        }
        return chain;
    }

    private static void verify(Link chain, long seed) {
        Link link = chain;
        for (int i = LENGTH - 1; i >= 0; i--) {
            require(link.value == seed + i, "link %d holds %x, not %x", i, link.value, seed + i);
            link = link.next;
        }
        require(link == null, "a chain does not end");
    }
}
