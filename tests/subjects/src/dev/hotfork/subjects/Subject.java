package dev.hotfork.subjects;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;

/**
 * One kind of state that a capture has to carry. A subject sets the state up, says READY, and checks itself when it is
 * asked: in the original, which goes on after the capture, and in every instance that is restored from it.
 */
public abstract class Subject {
    private static final long POLL_NANOS = TimeUnit.MILLISECONDS.toNanos(20);
    /** -Dhotfork.patience=SECONDS, 120 unless told, counted in polls: the clock of an instance has jumped. */
    private static final int POLLS = 50 * Integer.getInteger("hotfork.patience", 120);
    private static final long CHECK_MILLIS = 120_000;
    private static final long AWAIT_NANOS = TimeUnit.SECONDS.toNanos(60);

    private final AtomicReference<String> broken = new AtomicReference<>();
    private Path triggers;
    private String birth;
    private int port;

    /** Makes the state. What is started here must not end the program by itself. */
    protected abstract void setUp() throws Exception;

    /** Looks at the state, in the original and in every instance; throws when it is wrong. */
    protected abstract void check() throws Exception;

    /** What may fail, as the work of a thread. */
    @FunctionalInterface
    protected interface Work {
        void run() throws Throwable;
    }

    protected final void run(String... args) {
        try {
            if (getClass().getAnnotation(Traits.class).virtualThreads() && !VirtualThread.AVAILABLE) {
                say("SKIP needs virtual threads (JDK 21 or later)");
                System.exit(0);
            }
            parse(args);
            birth = Proc.identity();
            setUp();
            say("READY");
            if (awaitQuestion()) {
                checkInTime();
            } else {
                broken("nobody asked");
            }
        } catch (Throwable e) {
            broken(describe(e));
        }
        String reason = broken.get();
        say(reason == null ? "PASS" : "FAIL " + reason);
        System.exit(reason == null ? 0 : 1);
    }

    private void parse(String... args) {
        String directory = System.getProperty("hotfork.trigger");
        require(directory != null, "start it with -Dhotfork.trigger=DIRECTORY");
        triggers = Path.of(directory).toAbsolutePath();
        for (int i = 0; i < args.length; i += 2) {
            require(args[i].equals("--port") && i + 1 < args.length, "unknown argument %s", args[i]);
            port = Integer.parseInt(args[i + 1]);
        }
        require(port != 0 || !getClass().getAnnotation(Traits.class).port(), "needs --port N");
    }

    private boolean awaitQuestion() throws IOException {
        for (int i = 0; i < POLLS; i++) {
            if (new File(triggers.toFile(), "check-" + Proc.pid()).exists()) {
                return true;
            }
            LockSupport.parkNanos(POLL_NANOS);
        }
        return false;
    }

    /** A check that hangs is a result too, and its stack says where. */
    private void checkInTime() throws InterruptedException {
        Thread checker = start("check", this::check);
        checker.join(CHECK_MILLIS);
        if (checker.isAlive()) {
            broken(Arrays.stream(checker.getStackTrace()).limit(12).map(StackTraceElement::toString)
                .collect(Collectors.joining(" at ", "the check hangs at ", "")));
        }
    }

    /** Whether this is the process that was captured, not an instance. */
    protected final boolean original() throws IOException {
        return birth.equals(Proc.identity());
    }

    /** The port of this process: the one it was started with, or where the restorer moved it. */
    protected final int port() throws IOException {
        Path moved = trigger("port-");
        return Files.exists(moved) ? Integer.parseInt(Files.readString(moved).strip()) : port;
    }

    /** A file of the trigger directory that is for this process alone. */
    protected final Path trigger(String prefix) throws IOException {
        return triggers.resolve(prefix + Proc.pid());
    }

    /** A path of its own outside the temporary directory, for files that a capture must not take along. */
    protected final Path outsideTmp(String name) throws IOException {
        String directory = System.getProperty("hotfork.files");
        Path files = directory == null ? Subjects.jar().resolveSibling("files") : Path.of(directory).toAbsolutePath();
        Files.createDirectories(files);
        return files.resolve(getClass().getSimpleName() + "-" + Proc.pid() + "-" + name);
    }

    protected final void say(String line) {
        System.out.println(line);
    }

    /** Fails the check. */
    protected static void require(boolean ok, String reason, Object... args) {
        if (!ok) {
            throw new AssertionError(String.format(reason, args));
        }
    }

    /** Notes what a thread of the subject found wrong; the first reason is the one that is told. */
    protected final void broken(String reason) {
        broken.compareAndSet(null, reason.replace('\n', ' '));
    }

    /** Waits until something has happened that has to happen soon, unless a thread has found something wrong. */
    protected final void await(String what, BooleanSupplier happened) {
        long start = System.nanoTime();
        while (!happened.getAsBoolean()) {
            require(broken.get() == null, "%s", broken.get());
            require(System.nanoTime() - start < AWAIT_NANOS, "waited in vain until %s", what);
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(2));
        }
    }

    protected final void await(String what, CountDownLatch latch) {
        await(what, () -> latch.getCount() == 0);
    }

    /** Waits until the thread is inside a native method of a name that begins so. */
    protected final void awaitNative(Thread thread, String method) {
        await(thread.getName() + " is in " + method, () -> Arrays.stream(thread.getStackTrace())
            .anyMatch(frame -> frame.isNativeMethod() && frame.getMethodName().startsWith(method)));
    }

    /** Waits until every counter has moved on by so much, each from where it is now. */
    protected final void allAdvance(Map<String, AtomicLong> counters, long by) {
        Map<String, Long> goals = new HashMap<>();
        counters.forEach((name, counter) -> goals.put(name, counter.get() + by));
        counters.forEach((name, counter) -> await(name + " advances", () -> counter.get() >= goals.get(name)));
    }

    /** Starts a daemon thread; what it throws fails the check. */
    protected final Thread start(String name, Work work) {
        return start(new Thread(null, guarded(name, work), name));
    }

    protected final Thread start(Thread thread) {
        thread.setDaemon(true);
        thread.start();
        return thread;
    }

    protected final Runnable guarded(String name, Work work) {
        return () -> {
            try {
                work.run();
            } catch (Throwable e) {
                broken(name + ": " + describe(e));
            }
        };
    }

    private static String describe(Throwable e) {
        StackTraceElement[] stack = e.getStackTrace();
        return e instanceof AssertionError ? e.getMessage() : e + (stack.length == 0 ? "" : " at " + stack[0]);
    }
}
