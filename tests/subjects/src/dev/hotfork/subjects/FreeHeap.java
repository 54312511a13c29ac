package dev.hotfork.subjects;

import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * Live objects in a heap that is full of dead ones, which an image leaves out. HotSpot verifies the heap at each
 * collection, and every new object is looked at: it must be empty.
 */
@Traits(
    heap = 128,
    options = "-Xms128m -XX:+UnlockDiagnosticVMOptions -XX:+VerifyBeforeGC -XX:+VerifyAfterGC")
public final class FreeHeap extends Subject {
    private static final int LIVE = 400;
    private static final int LARGEST = 20_000;
    /** Enough to have been everywhere in the heap. */
    private static final long GARBAGE_INTS = 60L << 20;

    private final int[][] live = new int[LIVE][];
    private final SplittableRandom random = new SplittableRandom(11);

    public static void main(String[] args) {
        new FreeHeap().run(args);
    }

    @Override
    protected void setUp() {
        Arrays.fill(live, new int[0]);
        allocate();
        System.gc();
    }

    @Override
    protected void check() {
        for (int i = 0; i < LIVE; i++) {
            verify(live[i]);
        }
        allocate();
        System.gc();
        for (int i = 0; i < LIVE; i++) {
            verify(live[i]);
        }
    }

    private void allocate() {
        for (long left = GARBAGE_INTS; left > 0; ) {
            int[] array = new int[1 + random.nextInt(LARGEST)];
            for (int value : array) {
                require(value == 0, "a new array holds %x", value);
            }
            Arrays.fill(array, array.length);
            live[random.nextInt(LIVE)] = array;
            left -= array.length;
        }
    }

    private static void verify(int[] array) {
        for (int value : array) {
            require(value == array.length, "an array of %d holds %x", array.length, value);
        }
    }
}
