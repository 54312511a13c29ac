package dev.hotfork.subjects;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Phaser;

/** Threads that have used all of their stacks and came up again: an image leaves out what they left below. */
@Traits
public final class ShallowAgain extends Subject {
    private static final int THREADS = 20;
    private static final long STACK_BYTES = 2 << 20;
    private static final int DEPTH = 2_000;

    private final Phaser wereDeep = new Phaser(THREADS + 1);
    private final CountDownLatch again = new CountDownLatch(1);
    private final CountDownLatch done = new CountDownLatch(THREADS);

    public static void main(String[] args) {
        new ShallowAgain().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        for (int i = 0; i < THREADS; i++) {
            String name = "shallow-" + i;
            long seed = i;
            start(new Thread(null, guarded(name, () -> {
                goDeep(seed);
                wereDeep.arrive();
                again.await();
                goDeep(seed);
                done.countDown();
            }), name, STACK_BYTES));
        }
        int phase = wereDeep.arrive();
        await("all threads were deep down", () -> wereDeep.getPhase() != phase);
    }

    @Override
    protected void check() {
        again.countDown();
        await("all threads were deep down again", done);
    }

    /** To the end of the stack, whatever a frame's size, and through frames that know what they hold. */
    private static void goDeep(long seed) {
        try {
            endless(0);
            require(false, "an endless recursion ended");
        } catch (StackOverflowError e) {
            require(e.getStackTrace().length > 0, "a stack overflow without a stack");
        }
        long result = descend(DEPTH, seed);
        require(result == DEPTH * seed + DEPTH * (DEPTH + 1L) / 2, "%d frames gave %d", DEPTH, result);
    }

    private static long descend(int depth, long seed) {
        return depth == 0 ? 0 : descend(depth - 1, seed) + seed + depth;
    }

    private static int endless(int i) {
        return endless(i + 1) + 1;
    }
}
