import java.io.InputStream;
import java.util.function.LongUnaryOperator;

/** Work in more methods than a small code cache can hold: copies of one class, each with a loader of its own. */
final class Many {
    private static final int COPIES = 2000;

    private Many() {
    }

    /** What is copied. */
    public static final class Template implements LongUnaryOperator {
        @Override
        public long applyAsLong(long seed) {
            long x = seed;
            for (int i = 0; i < 20; i++) {
                x = x * 31 + (x >>> 7 ^ x % 1009) + Long.rotateLeft(x, i) / 3 - (x & 0xff) * i;
            }
            return x;
        }
    }

    private static final class Loader extends ClassLoader {
        LongUnaryOperator copy(byte[] classFile) throws ReflectiveOperationException {
            Class<?> copy = defineClass(Template.class.getName(), classFile, 0, classFile.length);
            return (LongUnaryOperator) copy.getConstructor().newInstance();
        }
    }

    /** All of them in turn, for ever. */
    static void work() {
        LongUnaryOperator[] copies = new LongUnaryOperator[COPIES];
        try (InputStream in = Many.class.getResourceAsStream("Many$Template.class")) {
            byte[] classFile = in.readAllBytes();
            for (int i = 0; i < COPIES; i++) {
                copies[i] = new Loader().copy(classFile);
            }
        } catch (java.io.IOException | ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
        for (long x = 0; ; ) {
            for (LongUnaryOperator copy : copies) {
                x = copy.applyAsLong(x);
            }
        }
    }
}
