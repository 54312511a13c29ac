package dev.hotfork.subjects;

import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;

/** Files below the temporary directory mapped for reading: one deleted, one that the original deletes at its exit. */
@Traits
public final class MappedTempFiles extends Subject {
    private static final int SIZE = 3_000_000;

    private byte[] content;
    private MappedByteBuffer deleted;
    private MappedByteBuffer named;

    public static void main(String[] args) {
        new MappedTempFiles().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        content = new byte[SIZE];
        new Random(SIZE).nextBytes(content);
        Path first = Files.write(Files.createTempFile("deleted", null), content);
        deleted = map(first);
        Files.delete(first);
        Path second = Files.write(Files.createTempFile("named", null), content);
        second.toFile().deleteOnExit();
        named = map(second);
        // Half of the pages have never been touched when the capture comes.
        compare(deleted, SIZE / 2);
        compare(named, SIZE / 2);
    }

    @Override
    protected void check() {
        compare(deleted, SIZE);
        compare(named, SIZE);
    }

    private static MappedByteBuffer map(Path file) throws Exception {
        try (FileChannel channel = FileChannel.open(file)) {
            return channel.map(FileChannel.MapMode.READ_ONLY, 0, SIZE);
        }
    }

    private void compare(MappedByteBuffer mapped, int length) {
        for (int i = 0; i < length; i++) {
            require(mapped.get(i) == content[i], "another byte at %d", i);
        }
    }
}
