package dev.hotfork.subjects;

import static dev.hotfork.subjects.Subject.require;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;

/** Reads a file over and over and knows what has to come: an offset that is only a little off shows at once. */
final class SteadyReader {
    private static final int PIECE = 100;

    private final FileChannel channel;
    private final byte[] content;
    private final AtomicLong pieces = new AtomicLong();

    SteadyReader(FileChannel channel, byte[] content) {
        this.channel = channel;
        this.content = content;
    }

    void readOn() throws IOException, InterruptedException {
        ByteBuffer piece = ByteBuffer.allocate(PIECE);
        for (int at = 0; ; ) {
            require(channel.position() == at, "the offset is %d, not %d", channel.position(), at);
            piece.clear();
            int length = channel.read(piece);
            if (length < 0) {
                require(at == content.length, "the file ends at %d, not %d", at, content.length);
                channel.position(0);
                at = 0;
                continue;
            }
            require(Arrays.equals(piece.array(), 0, length, content, at, at + length), "other bytes at %d", at);
            at += length;
            pieces.incrementAndGet();
            Thread.sleep(1);
        }
    }

    AtomicLong pieces() {
        return pieces;
    }
}
