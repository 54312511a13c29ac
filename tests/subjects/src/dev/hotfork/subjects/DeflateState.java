package dev.hotfork.subjects;

import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.Random;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

/** A Deflater and an Inflater half way through a stream: their windows and tables are in native memory. */
@Traits
public final class DeflateState extends Subject {
    private static final int SIZE = 400_000;

    private final byte[] plain = new byte[SIZE];
    private final ByteArrayOutputStream compressed = new ByteArrayOutputStream();
    private final ByteArrayOutputStream inflated = new ByteArrayOutputStream();
    private final Deflater deflater = new Deflater(Deflater.BEST_COMPRESSION);
    private final Inflater inflater = new Inflater();
    private int given;

    public static void main(String[] args) {
        new DeflateState().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        Random random = new Random(SIZE);
        for (int i = 0; i < SIZE; i++) {
            // Repetitions at a distance, so that the window counts.
            plain[i] = i > 1000 && random.nextInt(5) > 0 ? plain[i - 997] : (byte) random.nextInt(20);
        }
        deflater.setInput(plain, 0, SIZE / 2);
        while (!deflater.needsInput()) {
            deflate();
        }
        inflateWhatIsThere();
        require(inflated.size() > 0 && inflated.size() < SIZE, "inflated %d bytes before READY", inflated.size());
    }

    @Override
    protected void check() throws Exception {
        deflater.setInput(plain, SIZE / 2, SIZE - SIZE / 2);
        deflater.finish();
        while (!deflater.finished()) {
            deflate();
        }
        inflateWhatIsThere();
        require(inflater.finished(), "the stream does not end");
        require(Arrays.equals(plain, inflated.toByteArray()), "other bytes came out than went in");
        require(inflater.getAdler() == deflater.getAdler(), "the checksums differ");
    }

    private void deflate() {
        byte[] buffer = new byte[4096];
        compressed.write(buffer, 0, deflater.deflate(buffer));
    }

    private void inflateWhatIsThere() throws Exception {
        byte[] all = compressed.toByteArray();
        inflater.setInput(all, given, all.length - given);
        given = all.length;
        byte[] buffer = new byte[4096];
        for (int length = inflater.inflate(buffer); length > 0; length = inflater.inflate(buffer)) {
            inflated.write(buffer, 0, length);
        }
    }
}
