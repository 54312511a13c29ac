package dev.hotfork.subjects;

import java.nio.ByteBuffer;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.Pipe;
import java.util.concurrent.CountDownLatch;

/**
 * Threads that are blocked in a read whose channel is closed by another thread. The JDK does it by a signal and by a
 * marker, half of a socket pair, which exists from the first such close on.
 */
@Traits
public final class CloseWhileBlocked extends Subject {
    private final CountDownLatch closed = new CountDownLatch(1);
    private final CountDownLatch interrupted = new CountDownLatch(1);
    private Pipe toClose;
    private Thread toInterrupt;

    public static void main(String[] args) {
        new CloseWhileBlocked().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        CountDownLatch first = new CountDownLatch(1);
        Pipe makesMarker = Pipe.open();
        startReader(makesMarker, AsynchronousCloseException.class, first);
        makesMarker.source().close();
        await("the first close ends a read", first);

        toClose = Pipe.open();
        startReader(toClose, AsynchronousCloseException.class, closed);
        toInterrupt = startReader(Pipe.open(), ClosedByInterruptException.class, interrupted);
    }

    @Override
    protected void check() throws Exception {
        require(closed.getCount() == 1 && interrupted.getCount() == 1, "a read ended before the close");
        toClose.source().close();
        await("a close ends a read", closed);
        toInterrupt.interrupt();
        await("an interrupt ends a read", interrupted);
    }

    private Thread startReader(Pipe pipe, Class<? extends ClosedChannelException> end, CountDownLatch ended) {
        Thread reader = start("reader", () -> {
            try {
                pipe.source().read(ByteBuffer.allocate(1));
                require(false, "a read returned");
            } catch (ClosedChannelException e) {
                require(e.getClass() == end, "a read ended by %s, not %s", e, end);
                ended.countDown();
            }
        });
        awaitNative(reader, "read");
        return reader;
    }
}
