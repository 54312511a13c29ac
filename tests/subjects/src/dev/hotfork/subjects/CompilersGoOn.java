package dev.hotfork.subjects;

import java.io.IOException;
import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.util.function.LongUnaryOperator;

/** Compilers that had nothing to do at the capture, which an instance keeps for a moment: they compile what becomes hot afterwards. */
@Traits
public final class CompilersGoOn extends Subject {
    /** Enough for C2. */
    private static final int RUNS = 15_000;
    private static final long RESTS_MILLIS = 300;

    private final CompilationMXBean compilation = ManagementFactory.getCompilationMXBean();
    private int made;

    public static void main(String[] args) {
        new CompilersGoOn().run(args);
    }

    @Override
    protected void setUp() {
        compileSomething();
        long[] seen = {-1};
        await("the compilers rest", () -> {
            long before = seen[0];
            sleep();
            seen[0] = compilation.getTotalCompilationTime();
            return seen[0] == before;
        });
    }

    @Override
    protected void check() {
        compileSomething();
    }

    private void compileSomething() {
        long before = compilation.getTotalCompilationTime();
        await("something is compiled", () -> {
            runAnother();
            return compilation.getTotalCompilationTime() > before;
        });
    }

    /** Another class each time: one that is compiled already proves nothing. */
    private void runAnother() {
        try {
            int constant = ++made;
            LongUnaryOperator operator = Generated.withConstant(constant);
            for (int i = 0; i < RUNS; i++) {
                require(operator.applyAsLong(i) == Generated.expected(constant, i), "wrong result for %d", i);
            }
        } catch (IOException | ReflectiveOperationException e) {
            throw new AssertionError(e);
        }
    }

    private static void sleep() {
        try {
            Thread.sleep(RESTS_MILLIS);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }
}
