package dev.hotfork.subjects;

import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;

/** Threads with many frames, each with its own value, at rest and moving; the guard pages at the end of a stack. */
@Traits
public final class DeepStack extends Subject {
    private static final int[] DEPTHS = {1_000, 20_000, 100_000};
    private static final long STACK_BYTES = 64 << 20;

    private final CountDownLatch atBottom = new CountDownLatch(DEPTHS.length + 1);
    private final CountDownLatch released = new CountDownLatch(1);
    private final CountDownLatch unwound = new CountDownLatch(DEPTHS.length + 1);
    private final AtomicLong trips = new AtomicLong();

    public static void main(String[] args) {
        new DeepStack().run(args);
    }

    @Override
    protected void setUp() {
        for (int depth : DEPTHS) {
            startDeep("deep-" + depth, () -> {
                long result = descend(depth, depth, true);
                require(result == expected(depth, depth), "%d frames gave %x", depth, result);
                unwound.countDown();
            });
        }
        start("overflows", () -> {
            overflow();
            atBottom.countDown();
            released.await();
            overflow();
            unwound.countDown();
        });
        startDeep("yo-yo", () -> {
            for (int depth = 1; ; depth = depth % 5000 + 1) {
                long result = descend(depth, depth, false);
                require(result == expected(depth, depth), "%d moving frames gave %x", depth, result);
                trips.incrementAndGet();
            }
        });
        await("all threads are deep down", atBottom);
        allAdvance(Map.of("the yo-yo", trips), 3);
    }

    @Override
    protected void check() throws Exception {
        allAdvance(Map.of("the yo-yo", trips), 3);
        released.countDown();
        await("all threads come up", unwound);
        start("overflows anew", DeepStack::overflow).join();
    }

    private void startDeep(String name, Work work) {
        start(new Thread(null, guarded(name, work), name, STACK_BYTES));
    }

    private long descend(int depth, long seed, boolean rest) throws InterruptedException {
        if (depth == 0) {
            if (rest) {
                atBottom.countDown();
                released.await();
            }
            return seed;
        }
        long own = mix(seed, depth);
        long below = descend(depth - 1, own, rest);
        require(own == mix(seed, depth), "frame %d holds %x", depth, own);
        return below ^ own;
    }

    private static long expected(int depth, long seed) {
        long value = seed;
        long result = 0;
        for (int at = depth; at > 0; at--) {
            value = mix(value, at);
            result ^= value;
        }
        return result ^ value;
    }

    private static long mix(long seed, int depth) {
        return Long.rotateLeft(seed * 0x9E3779B97F4A7C15L + depth, 17);
    }

    /** Runs into the guard pages below the stack, which turn that into an exception. */
    private static void overflow() {
        try {
            endless(0);
            require(false, "an endless recursion ended");
        } catch (StackOverflowError e) {
            require(e.getStackTrace().length > 0, "a stack overflow without a stack");
        }
    }

    private static int endless(int i) {
        return endless(i + 1) + 1;
    }
}
