package dev.hotfork.subjects;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Pipe;
import java.nio.channels.ReadableByteChannel;
import java.util.concurrent.CountDownLatch;

/** Pipes with bytes in them, one of them full, and pipes with one end closed. */
@Traits
public final class NioPipes extends Subject {
    private static final int SOME = 5000;
    private static final int MORE_THAN_FITS = 300_000;

    private final CountDownLatch written = new CountDownLatch(1);
    private Pipe holding;
    private Pipe full;
    private Pipe ending;
    private Pipe broken;

    public static void main(String[] args) {
        new NioPipes().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        holding = Pipe.open();
        holding.sink().write(pattern(0, SOME));

        full = Pipe.open();
        awaitNative(start("writer", () -> {
            ByteBuffer all = pattern(0, MORE_THAN_FITS);
            while (all.hasRemaining()) {
                full.sink().write(all);
            }
            written.countDown();
        }), "write");

        ending = Pipe.open();
        ending.sink().write(pattern(0, SOME));
        ending.sink().close();

        broken = Pipe.open();
        broken.source().close();
    }

    @Override
    protected void check() throws Exception {
        holding.sink().write(pattern(SOME, SOME));
        expect(holding.source(), 2 * SOME);

        require(written.getCount() == 1, "a pipe took more than fits");
        expect(full.source(), MORE_THAN_FITS);
        await("the writer is done", written);

        expect(ending.source(), SOME);
        require(ending.source().read(ByteBuffer.allocate(1)) == -1, "a pipe without a writer does not end");

        try {
            broken.sink().write(pattern(0, 1));
            require(false, "a pipe without a reader takes bytes");
        } catch (IOException e) {
            require(e.getMessage().contains("Broken pipe"), "a pipe without a reader says: %s", e.getMessage());
        }
    }

    private static ByteBuffer pattern(int from, int length) {
        ByteBuffer bytes = ByteBuffer.allocate(length);
        for (int i = from; i < from + length; i++) {
            bytes.put(at(i));
        }
        return bytes.flip();
    }

    /** Does not repeat itself at the distances of pages and buffers. */
    private static byte at(int i) {
        return (byte) (i * 31 + (i >> 8) * 17 + (i >> 16) * 101);
    }

    private static void expect(ReadableByteChannel source, int length) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(length);
        while (bytes.hasRemaining()) {
            require(source.read(bytes) > 0, "a pipe ends after %d of %d bytes", bytes.position(), length);
        }
        for (int i = 0; i < length; i++) {
            require(bytes.get(i) == at(i), "byte %d of a pipe is %d, not %d", i, bytes.get(i), at(i));
        }
    }
}
