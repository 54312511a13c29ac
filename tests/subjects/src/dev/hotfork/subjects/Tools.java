package dev.hotfork.subjects;

import java.util.concurrent.CountDownLatch;

/** Lives on for jcmd, jstack and the like: its thread "witness of tools" must be seen in the method "witness". */
@Traits(harness = "tools")
public final class Tools extends Subject {
    private final CountDownLatch asked = new CountDownLatch(1);
    private Thread thread;

    public static void main(String[] args) {
        new Tools().run(args);
    }

    @Override
    protected void setUp() {
        thread = start("witness of tools", this::witness);
    }

    @Override
    protected void check() throws Exception {
        require(thread.isAlive(), "the witness has ended");
        asked.countDown();
        thread.join();
    }

    private void witness() throws InterruptedException {
        asked.await();
    }
}
