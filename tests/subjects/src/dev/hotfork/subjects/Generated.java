package dev.hotfork.subjects;

import static dev.hotfork.subjects.Subject.require;

import java.io.IOException;
import java.io.InputStream;
import java.util.function.LongUnaryOperator;

/** Makes new classes at run time: copies of {@link Template}, each with another constant and a loader of its own. */
final class Generated {
    private static final int ROUNDS = 20;
    private static final int CONSTANT = 0x5EED_C0DE;

    private Generated() {
    }

    /** What is copied. Its constant is looked for in the class file, where it must stay an int. */
    public static final class Template implements LongUnaryOperator {
        @Override
        public long applyAsLong(long seed) {
            int constant = CONSTANT;
            long x = seed;
            for (int i = 0; i < ROUNDS; i++) {
                x = x * 31 + (constant ^ x >>> 7);
            }
            return x;
        }
    }

    private static final class Loader extends ClassLoader {
        Class<?> define(byte[] classFile) {
            return defineClass(Template.class.getName(), classFile, 0, classFile.length);
        }
    }

    /** An object of a class that nobody has seen before. */
    static LongUnaryOperator withConstant(int constant) throws IOException, ReflectiveOperationException {
        byte[] classFile;
        try (InputStream in = Generated.class.getResourceAsStream("Generated$Template.class")) {
            classFile = in.readAllBytes();
        }
        int replaced = 0;
        for (int at = 0; at + Integer.BYTES < classFile.length; at++) {
            if (read(classFile, at) == CONSTANT) {
                write(classFile, at, constant);
                replaced++;
            }
        }
        require(replaced == 1, "the constant is %d times in the class file", replaced);
        return (LongUnaryOperator) new Loader().define(classFile).getConstructor().newInstance();
    }

    static long expected(int constant, long seed) {
        long x = seed;
        for (int i = 0; i < ROUNDS; i++) {
            x = x * 31 + (constant ^ x >>> 7);
        }
        return x;
    }

    private static int read(byte[] bytes, int at) {
        return bytes[at] << 24 | (bytes[at + 1] & 0xff) << 16 | (bytes[at + 2] & 0xff) << 8 | bytes[at + 3] & 0xff;
    }

    private static void write(byte[] bytes, int at, int value) {
        for (int i = 0; i < Integer.BYTES; i++) {
            bytes[at + i] = (byte) (value >> 8 * (Integer.BYTES - 1 - i));
        }
    }
}
