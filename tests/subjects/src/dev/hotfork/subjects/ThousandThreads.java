package dev.hotfork.subjects;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

/** A thousand platform threads, each with a counter of its own that nobody else may touch. */
@Traits(options = "-Xss256k")
public final class ThousandThreads extends Subject {
    private static final int THREADS = 1000;

    private final Map<String, AtomicLong> counts = new HashMap<>();

    public static void main(String[] args) {
        new ThousandThreads().run(args);
    }

    @Override
    protected void setUp() {
        for (int i = 0; i < THREADS; i++) {
            int own = i;
            String name = "counter-" + own;
            AtomicLong counter = new AtomicLong();
            counts.put(name, counter);
            start(name, () -> count(own, name, counter));
        }
        allAdvance(counts, 1);
    }

    @Override
    protected void check() {
        allAdvance(counts, 2);
    }

    private static void count(int own, String name, AtomicLong counter) throws InterruptedException {
        for (long count = 0; ; count++) {
            require(counter.compareAndSet(count, count + 1), "it is at %d, not %d", counter.get(), count);
            require(Thread.currentThread().getName().equals(name), "runs as %s", Thread.currentThread().getName());
            Thread.sleep(50 + own % 50);
        }
    }
}
