package dev.hotfork.subjects;

import java.util.concurrent.CountDownLatch;

/** ThreadLocals of many threads: each must find its own values, and a new thread must inherit. */
@Traits
public final class ThreadLocals extends Subject {
    private static final int THREADS = 50;
    private static final ThreadLocal<String> SET = new ThreadLocal<>();
    private static final ThreadLocal<long[]> INITIAL = ThreadLocal.withInitial(() -> new long[] {-1});
    private static final InheritableThreadLocal<String> INHERITED = new InheritableThreadLocal<>();

    private final CountDownLatch ready = new CountDownLatch(THREADS);
    private final CountDownLatch asked = new CountDownLatch(1);
    private final CountDownLatch answered = new CountDownLatch(THREADS);

    public static void main(String[] args) {
        new ThreadLocals().run(args);
    }

    @Override
    protected void setUp() {
        for (int i = 0; i < THREADS; i++) {
            int own = i;
            start("locals-" + own, () -> holdAndLook(own));
        }
        await("all threads run", ready);
    }

    @Override
    protected void check() {
        asked.countDown();
        await("all threads answer", answered);
        require(SET.get() == null && INITIAL.get()[0] == -1, "a new thread has somebody's values");
    }

    private void holdAndLook(int own) throws InterruptedException {
        String name = Thread.currentThread().getName();
        SET.set("of " + name);
        INITIAL.get()[0] = own;
        INHERITED.set("from " + name);
        ready.countDown();
        asked.await();
        try {
            require(("of " + name).equals(SET.get()), "its value is %s", SET.get());
            require(INITIAL.get()[0] == own, "its initial value is %d", INITIAL.get()[0]);
            Thread child = start("child of " + own, () ->
                require(("from " + name).equals(INHERITED.get()), "it inherits %s", INHERITED.get()));
            child.join();
        } finally {
            answered.countDown();
        }
    }
}
