package dev.hotfork.subjects;

import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongUnaryOperator;

/**
 * A code cache that is mostly free: hundreds of classes were compiled, and are gone. What is compiled later is put where their code was.
 */
@Traits(
    heap = 160,
    // JDK 17's sweeper comes when so many per cent of the code cache have changed.
    options = "-XX:TieredStopAtLevel=1 -Xbatch -XX:+IgnoreUnrecognizedVMOptions -XX:SweeperThreshold=0.01")
public final class FreeCode extends Subject {
    private static final int CLASSES = 1500;
    /** One of so many is kept, with its code. */
    private static final int KEPT = 50;
    /** Enough for C1. */
    private static final int RUNS = 3000;
    /** What the code of all takes, at least. */
    private static final long CODE = 256 << 10;

    private final List<LongUnaryOperator> kept = new ArrayList<>();

    public static void main(String[] args) {
        new FreeCode().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        List<LongUnaryOperator> all = new ArrayList<>();
        for (int constant = 0; constant < CLASSES; constant++) {
            all.add(compiled(constant));
        }
        for (int constant = 0; constant < CLASSES; constant += KEPT) {
            kept.add(all.get(constant));
        }
        long before = codeInUse();
        all.clear();
        int next = CLASSES;
        while (codeInUse() >= before - CODE) {
            require(next < 2 * CLASSES, "their code is not gone: %d bytes, %d", before, codeInUse());
            System.gc();
            // JDK 17's sweeper looks whether it is to come when there is new code.
            compiled(next++);
        }
    }

    @Override
    protected void check() throws Exception {
        for (int i = 0; i < kept.size(); i++) {
            verify(kept.get(i), i * KEPT);
        }
        for (int constant = 0; constant < CLASSES; constant++) {
            verify(compiled(~constant), ~constant);
        }
        System.gc();
        for (int i = 0; i < kept.size(); i++) {
            verify(kept.get(i), i * KEPT);
        }
    }

    private static long codeInUse() {
        return ManagementFactory.getMemoryPoolMXBeans().stream().filter(pool -> pool.getName().startsWith("Code"))
            .mapToLong(pool -> pool.getUsage().getUsed()).sum();
    }

    private static LongUnaryOperator compiled(int constant) throws Exception {
        LongUnaryOperator operator = Generated.withConstant(constant);
        for (int i = 0; i < RUNS; i++) {
            operator.applyAsLong(i);
        }
        return operator;
    }

    private static void verify(LongUnaryOperator operator, int constant) {
        long result = operator.applyAsLong(constant);
        require(result == Generated.expected(constant, constant), "the class of %d computes %d", constant, result);
    }
}
