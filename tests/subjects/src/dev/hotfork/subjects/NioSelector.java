package dev.hotfork.subjects;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Pipe;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.concurrent.atomic.AtomicInteger;

/** A selector with a pipe and a listener, asked by a thread without timeout; and one that a wakeup is pending in. */
@Traits(port = true)
public final class NioSelector extends Subject {
    private final AtomicInteger wakeups = new AtomicInteger();
    private final AtomicInteger bytes = new AtomicInteger();
    private final AtomicInteger accepted = new AtomicInteger();
    private Selector selector;
    private Selector woken;
    private Pipe pipe;
    private ServerSocketChannel listener;

    public static void main(String[] args) {
        new NioSelector().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        selector = Selector.open();
        pipe = Pipe.open();
        pipe.source().configureBlocking(false);
        pipe.source().register(selector, SelectionKey.OP_READ);
        listener = ServerSocketChannel.open();
        listener.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port()));
        listener.configureBlocking(false);
        listener.register(selector, SelectionKey.OP_ACCEPT);
        start("selector", this::serve);

        woken = Selector.open();
        woken.wakeup();
    }

    @Override
    protected void check() throws Exception {
        require(wakeups.get() == 0, "the selector woke up %d times without a reason", wakeups.get());
        selector.wakeup();
        await("a wakeup arrives", () -> wakeups.get() == 1);
        pipe.sink().write(ByteBuffer.allocate(3));
        await("the pipe is selected", () -> bytes.get() == 3);
        SocketChannel.open(new InetSocketAddress(InetAddress.getLoopbackAddress(), port())).close();
        await("the listener is selected", () -> accepted.get() == 1);

        Thread pending = start("woken", () -> require(woken.select() == 0, "a selector without channels found one"));
        await("the wakeup of before is still pending", () -> !pending.isAlive());
    }

    private void serve() throws Exception {
        while (true) {
            if (selector.select() == 0) {
                wakeups.incrementAndGet();
            }
            for (SelectionKey key : selector.selectedKeys()) {
                if (key.isAcceptable()) {
                    listener.accept().close();
                    accepted.incrementAndGet();
                } else {
                    bytes.addAndGet(pipe.source().read(ByteBuffer.allocate(10)));
                }
            }
            selector.selectedKeys().clear();
        }
    }
}
