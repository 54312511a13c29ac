package dev.hotfork.subjects;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What the kernel says about this process, asked anew each time: the copies that the JVM keeps are under test. */
final class Proc {
    private Proc() {
    }

    /** By the link and not by a file in there: a capture at that moment would meet an open file of another process. */
    static long pid() throws IOException {
        return Long.parseLong(Files.readSymbolicLink(Path.of("/proc/self")).toString());
    }

    /** Kernel id of the calling platform thread. */
    static long tid() throws IOException {
        return Long.parseLong(Files.readSymbolicLink(Path.of("/proc/thread-self")).getFileName().toString());
    }

    /** Pid and start time: no other process has both, even where pids are used again. */
    static String identity() throws IOException {
        String stat = Files.readString(Path.of("/proc/self/stat"));
        String[] afterName = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
        return stat.substring(0, stat.indexOf(' ')) + "@" + afterName[19];
    }

    static String threadName(long tid) throws IOException {
        return Files.readString(Path.of("/proc/self/task/" + tid + "/comm")).stripTrailing();
    }

    static List<String> threadNames() throws IOException {
        List<String> names = new ArrayList<>();
        try (DirectoryStream<Path> tasks = Files.newDirectoryStream(Path.of("/proc/self/task"))) {
            for (Path task : tasks) {
                try {
                    names.add(threadName(Long.parseLong(task.getFileName().toString())));
                } catch (IOException e) {
                    // It has ended meanwhile.
                }
            }
        }
        return names;
    }

    /** Open descriptors and what they lead to. */
    static Map<Integer, String> descriptors() throws IOException {
        Map<Integer, String> descriptors = new TreeMap<>();
        try (DirectoryStream<Path> numbers = Files.newDirectoryStream(Path.of("/proc/self/fd"))) {
            for (Path number : numbers) {
                try {
                    descriptors.put(Integer.parseInt(number.getFileName().toString()),
                        Files.readSymbolicLink(number).toString());
                } catch (NoSuchFileException e) {
                    // The one that listed the directory.
                }
            }
        }
        return descriptors;
    }

    /** The descriptor that leads to such a thing and was not there before. */
    static int opened(Map<Integer, String> before, String kind) throws IOException {
        return descriptors().entrySet().stream()
            .filter(e -> e.getValue().startsWith(kind) && !e.getValue().equals(before.get(e.getKey())))
            .findFirst().orElseThrow(() -> new AssertionError("no new " + kind + " among the descriptors")).getKey();
    }

    /** Size of the heap that brk grows. */
    static long brkBytes() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/maps"))) {
            if (line.endsWith("[heap]")) {
                String[] range = line.substring(0, line.indexOf(' ')).split("-");
                return Long.parseUnsignedLong(range[1], 16) - Long.parseUnsignedLong(range[0], 16);
            }
        }
        return 0;
    }
}
