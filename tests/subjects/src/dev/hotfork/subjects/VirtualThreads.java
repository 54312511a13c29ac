package dev.hotfork.subjects;

import java.nio.ByteBuffer;
import java.nio.channels.Pipe;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * Virtual threads that are busy, parked, asleep, waiting, in a read, and pinned to their carriers. Of these three or more must be
 * free: where all others are pinned, the last one that JDK 21 puts to sleep does not look for tasks again that have come meanwhile
 * (ForkJoinPool.awaitWork does so only when no carrier is active, and pinned ones count). Then all threads stall, in a JVM
 * without Hotfork too: with one free carrier after 5 of 240 collections by jcmd GC.run, with three after none of 320.
 */
@Traits(virtualThreads = true, options = "-Djdk.virtualThreadScheduler.parallelism=6")
public final class VirtualThreads extends Subject {
    private static final int BUSY = 100;
    private static final int SLEEPING = 100;
    private static final int PARKED = 1000;
    private static final int READING = 10;
    private static final int PINNED = 2;

    private static volatile boolean released;
    private static final AtomicInteger IN_INITIALISERS = new AtomicInteger();

    private final Map<String, AtomicLong> counts = new HashMap<>();
    private final AtomicInteger began = new AtomicInteger();
    private final AtomicInteger ended = new AtomicInteger();
    private final List<Thread> parked = new ArrayList<>();
    private final List<Thread> pinned = new ArrayList<>();
    private final List<Pipe> pipes = new ArrayList<>();
    private final Object condition = new Object();

    /** A virtual thread in a class initialiser cannot leave its carrier, on any JDK so far. */
    private static final class PinnedOne {
        static final boolean RAN = parkInInitialiser();
    }

    private static final class PinnedTwo {
        static final boolean RAN = parkInInitialiser();
    }

    private static boolean parkInInitialiser() {
        IN_INITIALISERS.incrementAndGet();
        parkUntilReleased();
        return true;
    }

    public static void main(String[] args) {
        new VirtualThreads().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        for (int i = 0; i < BUSY; i++) {
            AtomicLong counter = counter("busy-" + i);
            Workloads.Workload workload = Workloads.longs(2_000);
            begin("busy", () -> {
                while (!released) {
                    workload.round();
                    if (counter.incrementAndGet() % 5 == 0) {
                        // Who only yields stays on its carrier's own list, before all others.
                        Thread.sleep(1);
                    } else {
                        Thread.yield();
                    }
                }
            });
        }
        for (int i = 0; i < SLEEPING; i++) {
            AtomicLong counter = counter("sleeping-" + i);
            begin("sleeping", () -> {
                while (!released) {
                    Thread.sleep(20);
                    counter.incrementAndGet();
                }
            });
        }
        for (int i = 0; i < PARKED; i++) {
            parked.add(begin("parked", VirtualThreads::parkUntilReleased));
        }
        for (int i = 0; i < READING; i++) {
            int own = i;
            Pipe pipe = Pipe.open();
            pipes.add(pipe);
            begin("reading", () -> {
                ByteBuffer one = ByteBuffer.allocate(1);
                require(pipe.source().read(one) == 1 && one.get(0) == own, "read something else from its pipe");
            });
        }
        begin("waiting", () -> {
            synchronized (condition) {
                while (!released) {
                    condition.wait();
                }
            }
        });
        pinned.add(begin("pinned", () -> require(PinnedOne.RAN, "not initialised")));
        pinned.add(begin("pinned", () -> require(PinnedTwo.RAN, "not initialised")));
        await("all began", () -> began.get() == BUSY + SLEEPING + PARKED + READING + 1 + PINNED);
        await("the pinned ones are pinned", () -> IN_INITIALISERS.get() == PINNED);
        await("the parked ones are parked", () -> parked.stream().allMatch(VirtualThreads::waits));
        allAdvance(counts, 2);
    }

    @Override
    protected void check() throws Exception {
        allAdvance(counts, 2);
        require(ended.get() == 0, "%d ended too early", ended.get());
        released = true;
        parked.forEach(LockSupport::unpark);
        pinned.forEach(LockSupport::unpark);
        synchronized (condition) {
            condition.notifyAll();
        }
        for (int i = 0; i < READING; i++) {
            pipes.get(i).sink().write(ByteBuffer.wrap(new byte[] {(byte) i}));
        }
        await("all end", () -> ended.get() == began.get());

        AtomicInteger fresh = new AtomicInteger();
        for (int i = 0; i < 100; i++) {
            VirtualThread.start(fresh::incrementAndGet);
        }
        await("new ones run", () -> fresh.get() == 100);
    }

    private Thread begin(String name, Work work) throws ReflectiveOperationException {
        return VirtualThread.start(guarded(name, () -> {
            began.incrementAndGet();
            work.run();
            ended.incrementAndGet();
        }));
    }

    private static void parkUntilReleased() {
        while (!released) {
            LockSupport.park();
        }
    }

    private static boolean waits(Thread thread) {
        return thread.getState() == Thread.State.WAITING;
    }

    private AtomicLong counter(String name) {
        AtomicLong counter = new AtomicLong();
        counts.put(name, counter);
        return counter;
    }
}
