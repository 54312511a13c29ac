package dev.hotfork.subjects;

import java.lang.management.ClassLoadingMXBean;
import java.lang.management.ManagementFactory;
import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongUnaryOperator;

/** Classes with loaders of their own: usable until they are let go, then unloaded, and others loaded in their place. */
@Traits
public final class ClassUnloading extends Subject {
    private static final int CLASSES = 100;

    private final List<LongUnaryOperator> used = new ArrayList<>();
    private final List<WeakReference<ClassLoader>> loaders = new ArrayList<>();
    private final ClassLoadingMXBean bean = ManagementFactory.getClassLoadingMXBean();

    public static void main(String[] args) {
        new ClassUnloading().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        load();
        unload(CLASSES / 2);
    }

    @Override
    protected void check() throws Exception {
        unload(0);
        load();
        unload(0);
    }

    private void load() throws Exception {
        for (int constant = 0; constant < CLASSES; constant++) {
            LongUnaryOperator operator = Generated.withConstant(constant);
            used.add(operator);
            loaders.add(new WeakReference<>(operator.getClass().getClassLoader()));
        }
    }

    private void unload(int left) {
        for (int constant = 0; constant < used.size(); constant++) {
            long result = used.get(constant).applyAsLong(constant);
            require(result == Generated.expected(constant, constant), "a class computes something else");
        }
        long before = bean.getUnloadedClassCount();
        int dropped = used.size() - left;
        used.subList(left, used.size()).clear();
        await("the loaders are gone", () -> {
            System.gc();
            return loaders.stream().filter(loader -> loader.get() != null).count() == left;
        });
        await("the classes are gone", () -> bean.getUnloadedClassCount() >= before + dropped);
        loaders.removeIf(loader -> loader.get() == null);
    }
}
