package dev.hotfork.subjects;

import java.lang.invoke.LambdaMetafactory;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongUnaryOperator;

/** Goes on making classes, lambdas and method handles, runs them until they are compiled, verifies what they give. */
@Traits(heap = 160)
public final class JitStorm extends Subject {
    /** Enough for C2. */
    private static final int RUNS = 15_000;
    /** How many are kept, to be run again when they are compiled; dropped ones make the compilers' work void. */
    private static final int KEPT = 40;

    private final AtomicLong made = new AtomicLong();

    private record Made(LongUnaryOperator operator, int constant) {
        void verify(long seed) {
            long result = operator.applyAsLong(seed);
            long expected = Generated.expected(constant, seed);
            require(result == expected, "%s with %x gave %x, not %x", operator, constant, result, expected);
        }
    }

    public static void main(String[] args) {
        new JitStorm().run(args);
    }

    @Override
    protected void setUp() {
        for (int i = 0; i < 3; i++) {
            int kind = i;
            start("storm-" + kind, () -> storm(kind));
        }
        allAdvance(Map.of("the storm", made), KEPT);
    }

    @Override
    protected void check() {
        allAdvance(Map.of("the storm", made), KEPT);
    }

    private void storm(int kind) throws Throwable {
        SplittableRandom random = new SplittableRandom(kind);
        Made[] kept = new Made[KEPT];
        while (true) {
            int constant = random.nextInt();
            LongUnaryOperator operator = make(kind, constant);
            kept[random.nextInt(KEPT)] = new Made(operator, constant);
            for (int i = 0; i < RUNS; i++) {
                operator.applyAsLong(i);
            }
            for (Made old : kept) {
                if (old != null) {
                    old.verify(random.nextLong());
                }
            }
            made.incrementAndGet();
        }
    }

    private static LongUnaryOperator make(int kind, int constant) throws Throwable {
        switch (kind) {
            case 0:
                return Generated.withConstant(constant);
            case 1:
                return lambda(constant);
            default:
                return handle(constant);
        }
    }

    /** Spins a class each time, which a lambda expression does only once. */
    private static LongUnaryOperator lambda(int constant) throws Throwable {
        MethodHandles.Lookup lookup = MethodHandles.lookup();
        MethodType type = MethodType.methodType(long.class, long.class);
        return (LongUnaryOperator) LambdaMetafactory.metafactory(lookup, "applyAsLong",
            MethodType.methodType(LongUnaryOperator.class, int.class), type,
            lookup.findStatic(Generated.class, "expected", type.insertParameterTypes(0, int.class)), type)
            .getTarget().invoke(constant);
    }

    private static LongUnaryOperator handle(int constant) throws Throwable {
        MethodHandles.Lookup lookup = MethodHandles.lookup();
        MethodHandle expected = MethodHandles.insertArguments(lookup.findStatic(Generated.class, "expected",
            MethodType.methodType(long.class, int.class, long.class)), 0, constant);
        MethodHandle changing = MethodHandles.catchException(expected, RuntimeException.class,
            MethodHandles.dropArguments(MethodHandles.constant(long.class, 0L), 0, RuntimeException.class));
        return seed -> {
            try {
                return (long) changing.invokeExact(seed);
            } catch (Throwable e) {
                throw new AssertionError(e);
            }
        };
    }
}
