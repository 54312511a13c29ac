package dev.hotfork.subjects;

/** SIGTERM ends a JVM by its shutdown hooks: the hook says "HOOK ran", and the status is 143. */
@Traits(harness = "sigterm")
public final class SigTerm extends Subject {
    private volatile boolean hookRan;

    public static void main(String[] args) {
        new SigTerm().run(args);
    }

    @Override
    protected void setUp() {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            hookRan = true;
            say("HOOK ran");
        }));
    }

    @Override
    protected void check() {
        require(!hookRan, "the hook ran before the end");
    }
}
