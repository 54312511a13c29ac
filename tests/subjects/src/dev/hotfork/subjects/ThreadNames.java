package dev.hotfork.subjects;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.management.ObjectName;

/** The kernel's names and ids of threads against Java's names and the ids that HotSpot keeps. */
@Traits
public final class ThreadNames extends Subject {
    private static final int THREADS = 20;
    private static final Pattern DUMPED = Pattern.compile("^\"(named-\\d+)\".* nid=(0x\\p{XDigit}+|\\d+) ",
        Pattern.MULTILINE);
    /** Threads that neither HotSpot nor anybody else ends. */
    private static final String PERMANENT = "VM .*|Reference .*|Finalizer|Signal .*|Common-.*|named-.*";

    private final Map<String, Long> tids = new ConcurrentHashMap<>();
    private final List<Thread> threads = new ArrayList<>();
    private final CountDownLatch started = new CountDownLatch(THREADS);
    private final CountDownLatch asked = new CountDownLatch(1);
    private final CountDownLatch answered = new CountDownLatch(THREADS);
    private final CountDownLatch ended = new CountDownLatch(1);
    private List<String> names;

    public static void main(String[] args) {
        new ThreadNames().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        for (int i = 0; i < THREADS; i++) {
            threads.add(start("named-" + i, this::answer));
        }
        await("all threads run", started);
        names = Proc.threadNames();
        names.removeIf(name -> !name.matches(PERMANENT));
        names.add(Proc.threadName(Proc.pid()));
    }

    @Override
    protected void check() throws Exception {
        asked.countDown();
        await("all threads answer", answered);
        lookAtKernelNames();
        lookAtDump();
        lookAtCpuTime();
        ended.countDown();
    }

    private void answer() throws Exception {
        String name = Thread.currentThread().getName();
        started.countDown();
        asked.await();
        tids.put(name, Proc.tid());
        answered.countDown();
        ended.await();
    }

    private void lookAtKernelNames() throws Exception {
        for (Map.Entry<String, Long> thread : tids.entrySet()) {
            String name = Proc.threadName(thread.getValue());
            require(name.equals(thread.getKey()), "thread %s is named %s", thread.getKey(), name);
        }
        List<String> lost = new ArrayList<>(names);
        for (String name : Proc.threadNames()) {
            lost.remove(name);
        }
        require(lost.isEmpty(), "no thread is named any more: %s", lost);
    }

    private void lookAtDump() throws Exception {
        String dump = (String) ManagementFactory.getPlatformMBeanServer().invoke(
            new ObjectName("com.sun.management:type=DiagnosticCommand"), "threadPrint",
            new Object[] {new String[0]}, new String[] {String[].class.getName()});
        Matcher line = DUMPED.matcher(dump);
        int found = 0;
        for (; line.find(); found++) {
            long tid = tids.get(line.group(1));
            require(Long.decode(line.group(2)) == tid, "%s is %d, HotSpot says %s", line.group(1), tid, line.group(2));
        }
        require(found == THREADS, "%d of %d threads are in the dump", found, THREADS);
    }

    /** HotSpot asks for it by the thread id that it keeps. */
    private void lookAtCpuTime() {
        ThreadMXBean bean = ManagementFactory.getThreadMXBean();
        for (Thread thread : threads) {
            require(bean.getThreadCpuTime(thread.getId()) >= 0, "no CPU time of %s", thread.getName());
        }
    }
}
