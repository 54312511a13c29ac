package dev.hotfork.subjects;

import java.lang.management.ManagementFactory;
import java.time.Instant;
import java.util.concurrent.TimeUnit;

/** Every place in Java that tells the pid, and children that have to know their parent. */
@Traits
public final class Pid extends Subject {
    public static void main(String[] args) {
        new Pid().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        allAgree();
    }

    @Override
    protected void check() throws Exception {
        allAgree();
    }

    private static void allAgree() throws Exception {
        long pid = Proc.pid();
        ProcessHandle current = ProcessHandle.current();
        same("ProcessHandle.current", current.pid(), pid);
        same("RuntimeMXBean.getPid", ManagementFactory.getRuntimeMXBean().getPid(), pid);
        String name = ManagementFactory.getRuntimeMXBean().getName();
        require(name.startsWith(pid + "@"), "RuntimeMXBean.getName says %s, the pid is %d", name, pid);

        require(current.isAlive(), "ProcessHandle.current is not alive");
        require(current.equals(ProcessHandle.of(pid).orElse(null)), "ProcessHandle.of the pid is somebody else");
        Instant start = current.info().startInstant().orElse(null);
        require(start != null, "ProcessHandle.current has no start time");
        require(start.isBefore(Instant.now().plusSeconds(1)), "ProcessHandle.current starts at %s", start);
        require(current.info().command().isPresent(), "ProcessHandle.current has no command");

        Process child = new ProcessBuilder("cat").start();
        try {
            same("the parent of a child", child.toHandle().parent().map(ProcessHandle::pid).orElse(-1L), pid);
            require(current.children().anyMatch(child.toHandle()::equals), "a child is not among the children");
            require(child.isAlive(), "a child is not alive");
        } finally {
            child.getOutputStream().close();
        }
        require(child.waitFor(20, TimeUnit.SECONDS), "a child does not end");
        require(child.exitValue() == 0, "a child ended with %d", child.exitValue());
    }

    private static void same(String what, long found, long pid) {
        require(found == pid, "%s says %d, the pid is %d", what, found, pid);
    }
}
