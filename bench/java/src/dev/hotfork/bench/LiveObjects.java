package dev.hotfork.bench;

import java.util.concurrent.CountDownLatch;

/** Holds so many megabytes of live objects, and waits for its end. */
public final class LiveObjects {
    private static final int PAYLOAD = 1000;
    /** Header and length of the array, the node around it, and its place in the list. */
    private static final int OVERHEAD = 40;

    private record Node(Node next, byte[] payload) {}

    private static Node head;

    private LiveObjects() {}

    public static void main(String[] arguments) throws InterruptedException {
        long count = (Long.parseLong(arguments[0]) << 20) / (PAYLOAD + OVERHEAD);
        for (long i = 0; i < count; i++) {
            byte[] payload = new byte[PAYLOAD];
            // No page of zeros: a page that holds nothing costs an image nothing.
            for (int j = 0; j < PAYLOAD; j += 100) {
                payload[j] = (byte) (i + j + 1);
            }
            head = new Node(head, payload);
        }
        System.out.println("READY");
        new CountDownLatch(1).await();
    }
}
