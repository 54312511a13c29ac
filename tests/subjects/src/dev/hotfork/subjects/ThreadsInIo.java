package dev.hotfork.subjects;

import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.channels.Pipe;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Platform threads inside read, poll with and without a timeout, and epoll_wait with and without one. The subjects of
 * listeners have threads in accept.
 */
@Traits
public final class ThreadsInIo extends Subject {
    private static final byte SENT = 42;

    private final Set<String> ended = ConcurrentHashMap.newKeySet();
    private final AtomicLong timeouts = new AtomicLong();
    private final AtomicLong selections = new AtomicLong();
    private Pipe read;
    private Pipe selected;
    private Selector selector;
    private Selector timed;
    private Socket client;
    private Socket server;

    public static void main(String[] args) {
        new ThreadsInIo().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        read = Pipe.open();
        begin("read", () -> {
            ByteBuffer one = ByteBuffer.allocate(1);
            require(read.source().read(one) == 1 && one.get(0) == SENT, "a pipe gave something else");
        });

        selected = Pipe.open();
        selected.source().configureBlocking(false);
        selector = Selector.open();
        selected.source().register(selector, SelectionKey.OP_READ);
        begin("epoll", () -> {
            require(selector.select() == 1, "select returned without a reason");
            require(selected.source().read(ByteBuffer.allocate(8)) == 1, "the selected pipe is empty");
        });

        timed = Selector.open();
        start("epoll with timeout", () -> {
            while (true) {
                require(timed.select(20) == 0, "a selector without channels found one");
                selections.incrementAndGet();
            }
        });

        try (ServerSocket listener = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            client = new Socket(listener.getInetAddress(), listener.getLocalPort());
            server = listener.accept();
        }
        begin("poll", () -> require(server.getInputStream().read() == (original() ? SENT : -1), "a socket gave more"));
        client.setSoTimeout(20);
        begin("poll with timeout", () -> {
            while (true) {
                try {
                    require(client.getInputStream().read() == -1 && !original(), "a socket that nobody wrote to");
                    return;
                } catch (SocketTimeoutException e) {
                    timeouts.incrementAndGet();
                }
            }
        });
        allAdvance(Map.of("poll with timeout", timeouts, "epoll with timeout", selections), 2);
    }

    @Override
    protected void check() throws Exception {
        read.sink().write(ByteBuffer.wrap(new byte[] {SENT}));
        selected.sink().write(ByteBuffer.wrap(new byte[] {SENT}));
        allAdvance(Map.of("epoll with timeout", selections), 2);
        if (original()) {
            allAdvance(Map.of("poll with timeout", timeouts), 2);
            require(!ended.contains("poll"), "a read ended although nobody wrote");
            client.getOutputStream().write(SENT);
        } else {
            await("the read of a dead socket that has a timeout ends", () -> ended.contains("poll with timeout"));
        }
        await("all reads end", () -> ended.containsAll(Set.of("read", "epoll", "poll")));
    }

    private void begin(String name, Work work) {
        start(name, () -> {
            work.run();
            ended.add(name);
        });
    }
}
