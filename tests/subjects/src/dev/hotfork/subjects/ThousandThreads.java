package dev.hotfork.subjects;

import java.util.concurrent.atomic.AtomicLongArray;

/** A thousand platform threads, each with a counter of its own that nobody else may touch. */
@Traits(options = "-Xss256k", heap = 128)
public final class ThousandThreads extends Subject {
    private static final int THREADS = 1000;

    private final AtomicLongArray counts = new AtomicLongArray(THREADS);

    public static void main(String[] args) {
        new ThousandThreads().run(args);
    }

    @Override
    protected void setUp() {
        for (int i = 0; i < THREADS; i++) {
            int own = i;
            String name = "counter-" + own;
            start(name, () -> count(own, name));
        }
        allAdvance();
    }

    @Override
    protected void check() {
        allAdvance();
    }

    private void count(int own, String name) throws InterruptedException {
        for (long count = 0; ; count++) {
            require(counts.compareAndSet(own, count, count + 1), "it is at %d, not %d", counts.get(own), count);
            require(Thread.currentThread().getName().equals(name), "runs as %s", Thread.currentThread().getName());
            Thread.sleep(50 + own % 50);
        }
    }

    private void allAdvance() {
        long[] before = new long[THREADS];
        for (int i = 0; i < THREADS; i++) {
            before[i] = counts.get(i);
        }
        for (int i = 0; i < THREADS; i++) {
            int own = i;
            await("counter-" + own + " advances", () -> counts.get(own) >= before[own] + 2);
        }
    }
}
