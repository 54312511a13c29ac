package dev.hotfork.subjects;

import java.lang.ref.Cleaner;
import java.lang.ref.PhantomReference;
import java.lang.ref.Reference;
import java.lang.ref.ReferenceQueue;
import java.lang.ref.SoftReference;
import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;

/** Allocates as hard as it can beside live data that it verifies, with references of every kind and with cleaners. */
@Traits(heap = 160)
public final class GcStorm extends Subject {
    private static final int LIVE = 16_000;
    private static final int LARGEST = 600;
    private static final int HUGE = 1_200_000;

    private final AtomicLong rounds = new AtomicLong();
    private final AtomicLong cleared = new AtomicLong();
    private final AtomicLong enqueued = new AtomicLong();
    private final AtomicLong cleaned = new AtomicLong();
    private final Map<String, AtomicLong> counters =
        Map.of("allocation", rounds, "clearing", cleared, "enqueuing", enqueued, "cleaning", cleaned);
    private final Cleaner cleaner = Cleaner.create();

    /** Live for as long as it is in the table, and known by its content, its identity and its weak reference. */
    private static final class Node {
        final int[] content;
        final int identity = System.identityHashCode(this);
        final WeakReference<Node> weak = new WeakReference<>(this);
        Node next;

        Node(int seed) {
            content = new int[1 + Math.floorMod(seed, LARGEST)];
            Arrays.fill(content, seed);
        }

        void verify(int seed) {
            require(content.length == 1 + Math.floorMod(seed, LARGEST), "an array has another length");
            for (int value : content) {
                require(value == seed, "an array holds %x, not %x", value, seed);
            }
            require(identity == System.identityHashCode(this), "an object has another identity hash");
            require(weak.get() == this, "a weak reference to a live object leads elsewhere");
            require(next == null || next.weak.get() == next, "a weak reference to a reachable object leads elsewhere");
        }
    }

    public static void main(String[] args) {
        new GcStorm().run(args);
    }

    @Override
    protected void setUp() {
        for (int i = 0; i < 2; i++) {
            int seed = i;
            start("allocator-" + seed, () -> allocate(seed));
        }
        start("references", this::refer);
        allAdvance(counters, 10);
    }

    @Override
    protected void check() {
        allAdvance(counters, 10);
    }

    private void allocate(int seed) {
        SplittableRandom random = new SplittableRandom(seed);
        Node[] nodes = new Node[LIVE / 2];
        int[] seeds = new int[nodes.length];
        while (true) {
            for (int i = 0; i < 1000; i++) {
                int at = random.nextInt(nodes.length);
                if (nodes[at] != null) {
                    nodes[at].verify(seeds[at]);
                }
                seeds[at] = random.nextInt();
                Node old = nodes[at];
                nodes[at] = new Node(seeds[at]);
                if (old != null) {
                    old.next = null;
                    nodes[at].next = old;
                }
            }
            byte[] huge = new byte[HUGE];
            require(huge[random.nextInt(HUGE)] == 0, "a new array is not empty");
            rounds.incrementAndGet();
        }
    }

    /** Dead objects must be told dead, and by their own reference. */
    private void refer() throws InterruptedException {
        ReferenceQueue<Object> queue = new ReferenceQueue<>();
        while (true) {
            Set<Reference<?>> expected = new HashSet<>();
            List<WeakReference<Object>> weaks = new ArrayList<>();
            List<SoftReference<int[]>> softs = new ArrayList<>();
            for (int i = 0; i < 100; i++) {
                weaks.add(makeDead(queue, expected));
                softs.add(new SoftReference<>(new int[] {i, i}));
            }
            while (!expected.isEmpty()) {
                Reference<?> dead = queue.remove();
                require(expected.remove(dead), "a queue gave a reference that is not expected");
                enqueued.incrementAndGet();
            }
            for (WeakReference<Object> weak : weaks) {
                require(weak.get() == null, "a weak reference leads to an object that a phantom one has lost");
            }
            cleared.addAndGet(weaks.size());
            for (int i = 0; i < softs.size(); i++) {
                int[] soft = softs.get(i).get();
                require(soft == null || soft[0] == i && soft[1] == i, "a soft reference leads elsewhere");
            }
        }
    }

    /** A method of its own, so that no frame keeps the object alive. */
    private WeakReference<Object> makeDead(ReferenceQueue<Object> queue, Set<Reference<?>> phantoms) {
        Object object = new Object();
        phantoms.add(new PhantomReference<>(object, queue));
        cleaner.register(object, cleaned::incrementAndGet);
        return new WeakReference<>(object);
    }
}
