package dev.hotfork.subjects;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Connected sockets in an epoll set, as a server has them: the original goes on to be told of bytes; an instance must
 * be told that they are at their end, or it would keep them for ever.
 */
@Traits
public final class SelectedSockets extends Subject {
    private static final int CONNECTIONS = 20;

    private final List<SocketChannel> clients = new ArrayList<>();
    private final AtomicInteger bytes = new AtomicInteger();
    private final AtomicInteger ends = new AtomicInteger();
    private Selector selector;

    public static void main(String[] args) {
        new SelectedSockets().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        selector = Selector.open();
        try (ServerSocketChannel listener = ServerSocketChannel.open()) {
            listener.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
            for (int i = 0; i < CONNECTIONS; i++) {
                clients.add(SocketChannel.open(listener.getLocalAddress()));
                SocketChannel server = listener.accept();
                server.configureBlocking(false);
                server.register(selector, SelectionKey.OP_READ);
            }
        }
        start("selector", this::serve);
    }

    @Override
    protected void check() throws Exception {
        if (original()) {
            for (SocketChannel client : clients) {
                client.write(ByteBuffer.allocate(1));
            }
            await("all bytes arrive", () -> bytes.get() == CONNECTIONS);
            require(ends.get() == 0, "%d connections are at their end", ends.get());
            for (SocketChannel client : clients) {
                client.close();
            }
        }
        await("all connections are at their end", () -> ends.get() == CONNECTIONS);
    }

    private void serve() throws Exception {
        while (true) {
            selector.select();
            for (SelectionKey key : selector.selectedKeys()) {
                int length = ((SocketChannel) key.channel()).read(ByteBuffer.allocate(10));
                if (length < 0) {
                    ends.incrementAndGet();
                    key.channel().close();
                } else {
                    bytes.addAndGet(length);
                }
            }
            selector.selectedKeys().clear();
        }
    }
}
