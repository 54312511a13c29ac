package dev.hotfork.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;

/** Holds so many megabytes of live objects, with so many threads in all, and waits for its end. */
public final class LiveObjects {
    private static final int PAYLOAD = 1000;
    /** Header and length of the array, the node around it, and its place in the list. */
    private static final int OVERHEAD = 40;

    private record Node(Node next, byte[] payload) {}

    private static Node head;

    private LiveObjects() {}

    public static void main(String[] arguments) throws Exception {
        long count = (Long.parseLong(arguments[0]) << 20) / (PAYLOAD + OVERHEAD);
        for (long i = 0; i < count; i++) {
            byte[] payload = new byte[PAYLOAD];
            // No page of zeros: a page that holds nothing costs an image nothing.
            for (int j = 0; j < PAYLOAD; j += 100) {
                payload[j] = (byte) (i + j + 1);
            }
            head = new Node(head, payload);
        }
        CountDownLatch end = new CountDownLatch(1);
        while (threads() < Integer.parseInt(arguments[1])) {
            Thread thread = new Thread(() -> {
                try {
                    end.await();
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
            });
            thread.setDaemon(true);
            thread.start();
        }
        System.out.println("READY");
        end.await();
    }

    /** HotSpot's own among them. */
    private static long threads() throws IOException {
        try (Stream<Path> tasks = Files.list(Path.of("/proc/self/task"))) {
            return tasks.count();
        }
    }
}
