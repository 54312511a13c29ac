package dev.hotfork.subjects;

import java.lang.ref.Cleaner;
import java.lang.ref.PhantomReference;
import java.lang.ref.Reference;
import java.lang.ref.ReferenceQueue;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;

/** Finalizers, cleaners and a reference queue with a thread in it, for objects that die after the capture. */
@Traits
public final class Cleaners extends Subject {
    private static final int OBJECTS = 500;

    private static final AtomicInteger FINALIZED = new AtomicInteger();

    private final AtomicInteger cleaned = new AtomicInteger();
    private final AtomicInteger enqueued = new AtomicInteger();
    private final Cleaner cleaner = Cleaner.create();
    private final ReferenceQueue<Object> queue = new ReferenceQueue<>();
    private final Set<Reference<?>> references = new HashSet<>();
    private final List<Object> alive = new ArrayList<>();

    private static final class Finalized {
        @Override
        @SuppressWarnings({"deprecation", "removal"})
        protected void finalize() {
            FINALIZED.incrementAndGet();
        }
    }

    public static void main(String[] args) {
        new Cleaners().run(args);
    }

    @Override
    protected void setUp() {
        start("queue", () -> {
            while (true) {
                queue.remove();
                enqueued.incrementAndGet();
            }
        });
        make();
        die(OBJECTS);
        make();
    }

    @Override
    protected void check() {
        require(cleaned.get() == OBJECTS && FINALIZED.get() == OBJECTS && enqueued.get() == OBJECTS,
            "objects that are reachable were cleaned");
        die(2 * OBJECTS);
        make();
        die(3 * OBJECTS);
    }

    private void make() {
        for (int i = 0; i < OBJECTS; i++) {
            Object object = new Finalized();
            cleaner.register(object, cleaned::incrementAndGet);
            references.add(new PhantomReference<>(object, queue));
            alive.add(object);
        }
    }

    private void die(int dead) {
        alive.clear();
        await("all finalizers, cleaners and references are done", () -> {
            System.gc();
            return FINALIZED.get() == dead && cleaned.get() == dead && enqueued.get() == dead;
        });
    }
}
