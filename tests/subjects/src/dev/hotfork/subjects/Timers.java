package dev.hotfork.subjects;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Timer;
import java.util.TimerTask;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/** Timers and executors that tick before the capture must tick after it, and a fixed rate never ahead of its time. */
@Traits
public final class Timers extends Subject {
    private static final long PERIOD = 20;

    private final Map<String, AtomicLong> ticks = new LinkedHashMap<>();
    private final long start = System.nanoTime();

    public static void main(String[] args) {
        new Timers().run(args);
    }

    @Override
    protected void setUp() {
        Timer timer = new Timer("timer", true);
        timer.schedule(task(ticker("Timer")), 0, PERIOD);
        timer.scheduleAtFixedRate(task(ticker("Timer at fixed rate")), 0, PERIOD);

        ScheduledExecutorService executor = Executors.newScheduledThreadPool(2, work -> {
            Thread thread = new Thread(work, "scheduled");
            thread.setDaemon(true);
            return thread;
        });
        executor.scheduleAtFixedRate(ticker("executor at fixed rate"), 0, PERIOD, TimeUnit.MILLISECONDS);
        executor.scheduleWithFixedDelay(ticker("executor with fixed delay"), 0, PERIOD, TimeUnit.MILLISECONDS);

        chain(ticker("CompletableFuture"));
        allAdvance(ticks, 5);
    }

    @Override
    protected void check() {
        allAdvance(ticks, 5);
        long periods = (System.nanoTime() - start) / TimeUnit.MILLISECONDS.toNanos(PERIOD);
        long ticked = ticks.get("executor at fixed rate").get();
        require(ticked <= periods + 1, "a fixed rate ticked %d times in %d periods", ticked, periods);
    }

    private Runnable ticker(String name) {
        AtomicLong count = new AtomicLong();
        ticks.put(name, count);
        return count::incrementAndGet;
    }

    private static TimerTask task(Runnable work) {
        return new TimerTask() {
            @Override
            public void run() {
                work.run();
            }
        };
    }

    private static void chain(Runnable work) {
        CompletableFuture.runAsync(work, CompletableFuture.delayedExecutor(PERIOD, TimeUnit.MILLISECONDS))
            .thenRun(() -> chain(work));
    }
}
