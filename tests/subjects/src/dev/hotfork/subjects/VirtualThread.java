package dev.hotfork.subjects;

/** Virtual threads by reflection: the subjects are compiled for JDK 17, which has none. */
final class VirtualThread {
    static final boolean AVAILABLE = Runtime.version().feature() >= 21;

    private VirtualThread() {
    }

    static Thread start(Runnable work) throws ReflectiveOperationException {
        return (Thread) Thread.class.getMethod("startVirtualThread", Runnable.class).invoke(null, work);
    }
}
