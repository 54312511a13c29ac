package dev.hotfork.subjects;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketOption;
import java.net.StandardSocketOptions;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import jdk.net.ExtendedSocketOptions;

/** A listener that nobody accepts from: its options, and how many connections wait in its backlog. */
@Traits(port = true)
public final class ServerChannelOptions extends Subject {
    private static final int BACKLOG = 5;
    private static final int CLIENTS = 4 * BACKLOG;
    private static final long SETTLE_NANOS = 200_000_000;

    private ServerSocketChannel listener;
    private Map<String, Object> options;
    private int waiting;

    public static void main(String[] args) {
        new ServerChannelOptions().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        listener = ServerSocketChannel.open();
        listener.setOption(StandardSocketOptions.SO_RCVBUF, 40_000);
        listener.setOption(StandardSocketOptions.SO_REUSEADDR, true);
        listener.setOption(ExtendedSocketOptions.TCP_KEEPIDLE, 77);
        listener.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port()), BACKLOG);
        listener.configureBlocking(false);
        options = options();
        waiting = fillBacklog();
        require(waiting < CLIENTS, "the backlog takes all %d clients", CLIENTS);
    }

    @Override
    protected void check() throws Exception {
        require(options().equals(options), "the options are %s, not %s", options(), options);
        int now = fillBacklog();
        require(now == waiting, "the backlog takes %d clients, not %d", now, waiting);
    }

    /** All but one that tells of the last packet. */
    private Map<String, Object> options() throws Exception {
        Map<String, Object> values = new LinkedHashMap<>();
        for (SocketOption<?> option : listener.supportedOptions()) {
            if (option != ExtendedSocketOptions.SO_INCOMING_NAPI_ID) {
                values.put(option.name(), listener.getOption(option));
            }
        }
        return values;
    }

    /** Connects more clients than fit, tells how many were let in, and leaves none behind. */
    private int fillBacklog() throws Exception {
        InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(), port());
        List<SocketChannel> clients = new ArrayList<>();
        for (int i = 0; i < CLIENTS; i++) {
            SocketChannel client = SocketChannel.open();
            client.configureBlocking(false);
            client.connect(address);
            clients.add(client);
        }
        LockSupport.parkNanos(SETTLE_NANOS);
        int connected = 0;
        for (SocketChannel client : clients) {
            if (client.finishConnect()) {
                connected++;
            }
        }
        for (SocketChannel client : clients) {
            client.close();
        }
        for (SocketChannel server = listener.accept(); server != null; server = listener.accept()) {
            server.close();
        }
        return connected;
    }
}
