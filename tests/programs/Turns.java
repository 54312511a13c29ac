import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/** Threads that work for a moment and rest for a moment, as those do that answer requests. */
final class Turns {
    private static final int THREADS = 2;
    private static final long WORK_NANOS = 1_000_000;
    private static final long REST_NANOS = 500_000;
    /** An instance has napped for longer, and no thread has waited so long for a processor. */
    private static final long NAP_NANOS = 30_000_000_000L;

    private static final AtomicInteger cut = new AtomicInteger();

    private Turns() {
    }

    static void begin() {
        for (int i = 0; i < THREADS; i++) {
            Thread thread = new Thread(Turns::takeTurns, "turns-" + i);
            thread.setDaemon(true);
            thread.start();
        }
    }

    /** How many threads have found in the middle of their work that they are in an instance, which wakes them meanwhile. */
    static int cut() throws InterruptedException {
        Thread.sleep(200);
        return cut.get();
    }

    private static void takeTurns() {
        while (true) {
            long begin = System.nanoTime();
            long now = begin;
            while (now - begin < WORK_NANOS) {
                now = System.nanoTime();
            }
            if (now - begin > NAP_NANOS) {
                cut.incrementAndGet();
            }
            LockSupport.parkNanos(REST_NANOS);
        }
    }
}
