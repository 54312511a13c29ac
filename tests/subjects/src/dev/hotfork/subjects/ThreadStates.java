package dev.hotfork.subjects;

import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;

/** Platform threads that run, are blocked, wait, are parked and sleep: each must still do so, and then be released. */
@Traits
public final class ThreadStates extends Subject {
    private static final long LONG = TimeUnit.HOURS.toMillis(1);

    private final Map<String, Thread> threads = new ConcurrentHashMap<>();
    private final Set<String> ended = ConcurrentHashMap.newKeySet();
    private final Object monitor = new Object();
    private final Object condition = new Object();
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition lockCondition = lock.newCondition();
    private final CountDownLatch latch = new CountDownLatch(1);
    private final LinkedBlockingQueue<String> queue = new LinkedBlockingQueue<>();
    private final AtomicLong runs = new AtomicLong();
    private final AtomicLong naps = new AtomicLong();
    private final AtomicLong shortWaits = new AtomicLong();
    private volatile boolean released;

    public static void main(String[] args) {
        new ThreadStates().run(args);
    }

    @Override
    protected void setUp() {
        begin("holds a monitor", () -> {
            synchronized (monitor) {
                park();
            }
        });
        await("the monitor is held", () -> state("holds a monitor") == Thread.State.WAITING);
        begin("blocked", () -> {
            synchronized (monitor) {
                require(released, "got a monitor that somebody else held");
            }
        });
        begin("waits", () -> waitUntilReleased(0));
        begin("waits with timeout", () -> waitUntilReleased(LONG));
        begin("parked", this::park);
        begin("parked with timeout", () -> {
            while (!released) {
                LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(LONG));
            }
        });
        begin("awaits a condition", () -> {
            lock.lock();
            try {
                while (!released) {
                    lockCondition.await();
                }
            } finally {
                lock.unlock();
            }
        });
        begin("awaits a latch", latch::await);
        begin("polls a queue", () -> require("sent".equals(queue.poll(LONG, TimeUnit.MILLISECONDS)), "nothing polled"));
        begin("joins", () -> threads.get("parked").join());
        begin("sleeps", () -> {
            try {
                Thread.sleep(LONG);
                require(false, "an hour's sleep is over");
            } catch (InterruptedException e) {
                require(released, "a sleep was interrupted by nobody");
            }
        });
        begin("runs", () -> {
            while (!released) {
                runs.incrementAndGet();
            }
        });
        begin("naps", () -> {
            while (!released) {
                long start = System.nanoTime();
                Thread.sleep(30);
                long slept = System.nanoTime() - start;
                require(slept >= TimeUnit.MILLISECONDS.toNanos(29), "a sleep of 30 ms took %d ns", slept);
                naps.incrementAndGet();
            }
        });
        begin("waits shortly", () -> {
            Object nobody = new Object();
            while (!released) {
                synchronized (nobody) {
                    nobody.wait(20);
                }
                shortWaits.incrementAndGet();
            }
        });
        allAsExpected();
    }

    @Override
    protected void check() {
        allAsExpected();
        allAdvance(Map.of("running", runs, "napping", naps, "waiting shortly", shortWaits), 2);
        require(ended.isEmpty(), "ended too early: %s", ended);

        released = true;
        latch.countDown();
        queue.add("sent");
        threads.get("sleeps").interrupt();
        for (String parked : new String[] {"holds a monitor", "parked", "parked with timeout"}) {
            LockSupport.unpark(threads.get(parked));
        }
        synchronized (condition) {
            condition.notifyAll();
        }
        lock.lock();
        lockCondition.signalAll();
        lock.unlock();
        await("all threads end", () -> ended.containsAll(threads.keySet()));
    }

    private void begin(String name, Work work) {
        threads.put(name, start(name, () -> {
            work.run();
            ended.add(name);
        }));
    }

    private void park() {
        while (!released) {
            LockSupport.park(this);
        }
    }

    private void waitUntilReleased(long timeout) throws InterruptedException {
        synchronized (condition) {
            while (!released) {
                condition.wait(timeout);
            }
        }
    }

    private Thread.State state(String name) {
        return threads.get(name).getState();
    }

    private void allAsExpected() {
        Map<String, Thread.State> expected = Map.of(
            "holds a monitor", Thread.State.WAITING,
            "blocked", Thread.State.BLOCKED,
            "waits", Thread.State.WAITING,
            "waits with timeout", Thread.State.TIMED_WAITING,
            "parked", Thread.State.WAITING,
            "parked with timeout", Thread.State.TIMED_WAITING,
            "awaits a condition", Thread.State.WAITING,
            "polls a queue", Thread.State.TIMED_WAITING,
            "sleeps", Thread.State.TIMED_WAITING,
            "runs", Thread.State.RUNNABLE);
        expected.forEach((name, state) -> await(name + " is " + state, () -> state(name) == state));
    }
}
