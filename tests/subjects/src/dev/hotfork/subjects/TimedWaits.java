package dev.hotfork.subjects;

import java.io.IOException;
import java.net.ServerSocket;
import java.net.SocketTimeoutException;
import java.nio.channels.Selector;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Timer;
import java.util.TimerTask;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * Nine kinds of timed wait. One that is under way at a capture ends when what it had left has passed, whatever the host's
 * clock shows; what is told from System.nanoTime meets a nap. Those that begin in an instance last as long as they should.
 */
@Traits(port = true)
public final class TimedWaits extends Subject {
    private static final long WAIT = 15_000;
    private static final long SHORT_WAIT = 200;
    private static final long PERIOD = 50;
    /** What `hotfork restore` does when it is told nothing. */
    private static final String ONE_NAP = "1 60000";
    /** How late a thread may be on a machine that is busy. */
    private static final long LATE = 3_000;
    /** A wait that is rounded down to milliseconds. */
    private static final long EARLY = 5;
    /** A stop and a restore, as the beat sees them, within which nothing of the nap or of an image's age may hide. */
    private static final long UNSEEN = 1_500;

    private final Map<String, Kind> kinds = new LinkedHashMap<>();
    private final Map<String, Moment> ended = new ConcurrentHashMap<>();
    private final AtomicLong ticks = new AtomicLong();
    /** Of the first accept; later ones take what is free, as another process has this one. */
    private int port;
    private Moment start;
    private volatile Beat beat;

    /** A wait of so many milliseconds. */
    @FunctionalInterface
    private interface Wait {
        void last(long millis) throws Exception;
    }

    /** Which clock ends a wait that is under way at a capture. */
    private enum By {
        /** What it had left is counted down. */
        REST,
        /** A relative wait is begun anew with what System.nanoTime leaves of it. */
        NANO_TIME,
        WALL
    }

    private static final class Kind {
        final By by;
        final Wait wait;

        Kind(By by, Wait wait) {
            this.by = by;
            this.wait = wait;
        }
    }

    /** Both clocks, in milliseconds. */
    private static final class Moment {
        final long nano = TimeUnit.NANOSECONDS.toMillis(System.nanoTime());
        final long wall = System.currentTimeMillis();
    }

    /** What a thread knows that looks at the clocks all the time. */
    private static final class Beat {
        final long pid;
        final Moment at;
        /** Times that this process has become another one, and by how much each clock went on meanwhile. */
        final int restores;
        final long nanoGap;
        final long wallGap;
        final long restoredAt;

        Beat(Beat before) throws IOException {
            long known;
            Moment now;
            do {
                known = Proc.pid();
                now = new Moment();
            } while (known != Proc.pid());
            pid = known;
            at = now;
            boolean restored = before != null && before.pid != pid;
            restores = before == null ? 0 : before.restores + (restored ? 1 : 0);
            nanoGap = before == null ? 0 : before.nanoGap + (restored ? at.nano - before.at.nano : 0);
            wallGap = before == null ? 0 : before.wallGap + (restored ? at.wall - before.at.wall : 0);
            restoredAt = restored ? at.wall : before == null ? 0 : before.restoredAt;
        }
    }

    public static void main(String[] args) {
        new TimedWaits().run(args);
    }

    @Override
    protected void setUp() throws IOException {
        kinds.put("Thread.sleep", new Kind(By.REST, Thread::sleep));
        kinds.put("Object.wait", new Kind(By.REST, TimedWaits::waitForNobody));
        kinds.put("parkNanos", new Kind(By.REST, TimedWaits::park));
        kinds.put("parkUntil", new Kind(By.WALL, TimedWaits::parkUntil));
        kinds.put("poll of a queue", new Kind(By.REST, TimedWaits::poll));
        kinds.put("select", new Kind(By.NANO_TIME, TimedWaits::select));
        kinds.put("accept", new Kind(By.NANO_TIME, millis -> accept(port, millis)));
        kinds.put("Timer", new Kind(By.REST, TimedWaits::timer));
        port = port();

        beat = new Beat(null);
        start("beat", () -> {
            while (true) {
                LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(5));
                beat = new Beat(beat);
            }
        });
        start = new Moment();
        ScheduledExecutorService executor = Executors.newScheduledThreadPool(1, work -> {
            Thread thread = new Thread(work, "fixed rate");
            thread.setDaemon(true);
            return thread;
        });
        executor.scheduleAtFixedRate(ticks::incrementAndGet, 0, PERIOD, TimeUnit.MILLISECONDS);
        kinds.forEach((name, kind) -> awaitBegin(kind, start(name, () -> {
            kind.wait.last(WAIT);
            ended.put(name, new Moment());
        })));
    }

    private void awaitBegin(Kind kind, Thread thread) {
        if (kind.by == By.NANO_TIME) {
            awaitNative(thread, thread.getName().equals("accept") ? "poll" : "wait");
        } else {
            await(thread.getName() + " waits", () -> thread.getState() == Thread.State.TIMED_WAITING
                || thread.getState() == Thread.State.WAITING);
        }
    }

    @Override
    protected void check() throws Exception {
        Path told = trigger("naps-");
        String[] naps = (original() ? "0 0" : Files.exists(told) ? Files.readString(told).strip() : ONE_NAP).split(" ");
        int restores = Integer.parseInt(naps[0]);
        long nap = Long.parseLong(naps[1]);

        await("the restore is seen", () -> beat.restores == restores);
        long unseen = restores * UNSEEN;
        require(beat.nanoGap >= nap && beat.nanoGap <= nap + unseen,
            "System.nanoTime went on by %d ms for naps of %d ms", beat.nanoGap, nap);

        await("all waits end", () -> ended.size() == kinds.size());
        kinds.forEach((name, kind) -> endedRight(name, kind.by, nap, unseen));
        for (Map.Entry<String, Kind> kind : kinds.entrySet()) {
            lastsAsLongAsItShould(kind.getKey(), kind.getKey().equals("accept") ? millis -> accept(0, millis)
                : kind.getValue().wait);
        }
        neitherBehindNorAhead(nap, unseen);
    }

    private void endedRight(String name, By by, long nap, long unseen) {
        Moment end = ended.get(name);
        long nano = end.nano - start.nano - nap;
        long wall = end.wall - start.wall;
        if (by == By.WALL) {
            long late = end.wall - Math.max(start.wall + WAIT, beat.restoredAt);
            require(wall >= WAIT - EARLY && late <= LATE, "%s took %d ms, it ended %d ms too late", name, wall, late);
        } else if (by == By.NANO_TIME && nap >= WAIT) {
            long after = Math.abs(end.wall - beat.restoredAt);
            require(after <= LATE, "%s ended %d ms from the restore, not with it", name, after);
        } else {
            long due = by == By.NANO_TIME ? WAIT - nap : WAIT;
            require(nano >= due - EARLY && nano <= due + LATE, "%s took %d ms by nanoTime without naps", name, nano);
            long lived = wall - beat.wallGap;
            require(lived >= due - EARLY - unseen && lived <= due + LATE, "%s took %d ms of this life", name, lived);
        }
    }

    private void lastsAsLongAsItShould(String name, Wait wait) throws Exception {
        Moment before = new Moment();
        wait.last(SHORT_WAIT);
        Moment after = new Moment();
        for (long took : new long[] {after.nano - before.nano, after.wall - before.wall}) {
            require(took >= SHORT_WAIT - EARLY && took <= SHORT_WAIT + LATE, "a new %s of %d ms took %d ms", name,
                SHORT_WAIT, took);
        }
    }

    /** An executor makes up for a nap, and for nothing else. */
    private void neitherBehindNorAhead(long nap, long unseen) {
        long due = (new Moment().nano - start.nano) / PERIOD;
        await("the fixed rate has made up", () -> ticks.get() >= due - 1);
        long lived = System.currentTimeMillis() - start.wall - beat.wallGap;
        long most = (lived + nap + unseen) / PERIOD + 2;
        require(ticks.get() <= most, "a fixed rate ticked %d times, %d at most are due", ticks.get(), most);
    }

    private static void waitForNobody(long millis) throws InterruptedException {
        Object nobody = new Object();
        synchronized (nobody) {
            nobody.wait(millis);
        }
    }

    private static void park(long millis) {
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(millis));
    }

    private static void parkUntil(long millis) {
        LockSupport.parkUntil(System.currentTimeMillis() + millis);
    }

    private static void poll(long millis) throws InterruptedException {
        require(new LinkedBlockingQueue<>().poll(millis, TimeUnit.MILLISECONDS) == null, "an empty queue gave something");
    }

    private static void select(long millis) throws IOException {
        try (Selector selector = Selector.open()) {
            require(selector.select(millis) == 0, "a selector without channels selected one");
        }
    }

    private static void accept(int port, long millis) throws IOException {
        try (ServerSocket server = new ServerSocket(port)) {
            server.setSoTimeout((int) millis);
            server.accept().close();
            require(false, "somebody connected");
        } catch (SocketTimeoutException e) {
            // As it should.
        }
    }

    private static void timer(long millis) throws InterruptedException {
        CountDownLatch ran = new CountDownLatch(1);
        Timer timer = new Timer("timer", true);
        timer.schedule(new TimerTask() {
            @Override
            public void run() {
                ran.countDown();
            }
        }, millis);
        ran.await();
        timer.cancel();
    }
}
