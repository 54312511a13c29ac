import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;

/** Threads that work for a moment and rest for a moment, as those do that answer requests. */
final class Turns {
    private static final int THREADS = 2;
    private static final long WORK_NANOS = 1_000_000;
    private static final long REST_NANOS = 500_000;
    /** An instance has napped for longer, and no thread has waited so long for a processor. */
    private static final long NAP_NANOS = 30_000_000_000L;

    private static final AtomicInteger cut = new AtomicInteger();
    /** Turns that each thread has ended. */
    private static final AtomicLongArray ended = new AtomicLongArray(THREADS);

    private Turns() {
    }

    static void begin() {
        for (int i = 0; i < THREADS; i++) {
            int number = i;
            Thread thread = new Thread(() -> takeTurns(number), "turns-" + i);
            thread.setDaemon(true);
            thread.start();
        }
    }

    /** How many threads have found in the middle of their work that they are in an instance, which wakes them meanwhile. */
    static int cut() {
        for (int i = 0; i < THREADS; i++) {
            // The turn that it was in.
            for (long before = ended.get(i); ended.get(i) == before; ) {
                LockSupport.parkNanos(REST_NANOS);
            }
        }
        return cut.get();
    }

    private static void takeTurns(int number) {
        while (true) {
            long begin = System.nanoTime();
            long now = begin;
            while (now - begin < WORK_NANOS) {
                now = System.nanoTime();
            }
            if (now - begin > NAP_NANOS) {
                cut.incrementAndGet();
            }
            ended.incrementAndGet(number);
            LockSupport.parkNanos(REST_NANOS);
        }
    }
}
