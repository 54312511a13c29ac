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

/**
 * One thread spins on System.nanoTime and notes each gap between two readings; others, on the CPUs that are left, keep
 * memory and descriptors busy. Each line on standard input is answered by the gaps since the last one, as {@code
 * BEGIN+LENGTH} in nanoseconds (HotSpot's nanoTime is CLOCK_MONOTONIC), separated by spaces.
 */
public final class GapProbe {
    private static final int WORKERS = Math.max(1, Math.min(4, Runtime.getRuntime().availableProcessors() - 1));
    private static final int CONNECTIONS = 12;
    private static final int FILES = 5;

    /** Shorter ones are interrupts. */
    private static final long NOTEWORTHY_NANOS = 100_000;

    private static final int ROOM = 1 << 16;
    private static final long[] begins = new long[ROOM];
    private static final long[] lengths = new long[ROOM];
    /** Written by the spinner alone, after the gap itself. */
    private static volatile int noted;

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
        int told = noted;
        while (commands.readLine() != null) {
            int end = noted;
            if (end - told > ROOM) {
                throw new IllegalStateException((end - told) + " gaps at once, room for " + ROOM);
            }
            StringBuilder line = new StringBuilder();
            for (; told != end; told++) {
                line.append(begins[told % ROOM]).append('+').append(lengths[told % ROOM]).append(' ');
            }
            System.out.println(line.toString().strip());
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
            if (now - last > NOTEWORTHY_NANOS) {
                begins[noted % ROOM] = last;
                lengths[noted % ROOM] = now - last;
                noted++;
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
