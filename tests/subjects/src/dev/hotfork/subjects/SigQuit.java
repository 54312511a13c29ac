package dev.hotfork.subjects;

import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

/** SIGQUIT prints a dump of all threads, the one named "witness of SIGQUIT" among them, and the JVM goes on. */
@Traits(harness = "sigquit")
public final class SigQuit extends Subject {
    private final AtomicLong ticks = new AtomicLong();

    public static void main(String[] args) {
        new SigQuit().run(args);
    }

    @Override
    protected void setUp() {
        start("witness of SIGQUIT", () -> {
            while (true) {
                ticks.incrementAndGet();
                Thread.sleep(5);
            }
        });
    }

    @Override
    protected void check() {
        allAdvance(Map.of("the witness", ticks), 10);
    }
}
