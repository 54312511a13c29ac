package dev.hotfork.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.RandomAccessFile;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/**
 * One thread spins on System.nanoTime and keeps the longest gap between two readings; others, on the CPUs that are
 * left, keep memory and descriptors busy. Each line on standard input is answered by the longest gap since the last one.
 */
public final class GapProbe {
    private static final int WORKERS = Math.max(1, Math.min(4, Runtime.getRuntime().availableProcessors() - 1));
    private static final int CONNECTIONS = 12;
    private static final int FILES = 5;

    private static final AtomicLong longest = new AtomicLong();

    private GapProbe() {}

    public static void main(String[] arguments) throws Exception {
        byte[][] live = new byte[Integer.parseInt(arguments[0]) * 1024][1024];
        List<RandomAccessFile> files = new ArrayList<>();
        for (int i = 0; i < FILES; i++) {
            files.add(new RandomAccessFile(Path.of(System.getProperty("java.home"), "lib", "modules").toFile(), "r"));
        }
        // 24 ends of connections, the listener and five files: thirty descriptors besides HotSpot's own.
        ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        for (int i = 0; i < WORKERS; i++) {
            List<Socket> ends = new ArrayList<>();
            for (int j = 0; j < CONNECTIONS / WORKERS; j++) {
                ends.add(new Socket(listener.getInetAddress(), listener.getLocalPort()));
                ends.add(listener.accept());
            }
            int number = i;
            start("worker-" + i, () -> work(number, live, ends, files));
        }
        start("spinner", GapProbe::spin);
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
        System.out.println("READY");
        while (commands.readLine() != null) {
            System.out.println(longest.getAndSet(0));
        }
    }

    private interface Work {
        void run() throws Exception;
    }

    private static void start(String name, Work work) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (Exception e) {
                e.printStackTrace();
                System.exit(1);
            }
        }, name);
        thread.setDaemon(true);
        thread.start();
    }

    private static void spin() {
        long last = System.nanoTime();
        while (true) {
            long now = System.nanoTime();
            if (now - last > longest.getOpaque()) {
                longest.setOpaque(now - last);
            }
            last = now;
        }
    }

    /** Messages over every connection, reads of every file, digests of live memory that is changed. */
    private static void work(int number, byte[][] live, List<Socket> ends, List<RandomAccessFile> files) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        byte[] message = new byte[64];
        for (int turn = number; true; turn++) {
            for (int i = 0; i < ends.size(); i += 2) {
                ends.get(i).getOutputStream().write(message);
                if (ends.get(i + 1).getInputStream().readNBytes(message, 0, message.length) != message.length) {
                    throw new IOException("a connection ended");
                }
            }
            RandomAccessFile file = files.get(turn % files.size());
            synchronized (file) {
                file.seek(turn % 1024 * 4096L);
                file.readFully(message);
            }
            byte[] row = live[turn % live.length];
            byte[] sum = digest.digest(row);
            System.arraycopy(sum, 0, row, 0, sum.length);
        }
    }
}
