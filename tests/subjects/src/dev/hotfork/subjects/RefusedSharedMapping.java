package dev.hotfork.subjects;

import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** A file mapped for writing and shared, its descriptor closed: all instances would write to the same pages. */
@Traits(refused = "RefusedSharedMapping-[0-9]+-mapped")
public final class RefusedSharedMapping extends Subject {
    private static final int SIZE = 10_000;

    private Path path;
    private MappedByteBuffer mapped;

    public static void main(String[] args) {
        new RefusedSharedMapping().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        path = outsideTmp("mapped");
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.READ,
                StandardOpenOption.WRITE)) {
            mapped = channel.map(FileChannel.MapMode.READ_WRITE, 0, SIZE);
        }
        fill((byte) 1);
        say("NAMES " + path);
    }

    @Override
    protected void check() throws Exception {
        for (int i = 0; i < SIZE; i++) {
            require(mapped.get(i) == 1, "byte %d is %d", i, mapped.get(i));
        }
        fill((byte) 2);
        for (byte b : Files.readAllBytes(path)) {
            require(b == 2, "the file does not show what is written to its mapping");
        }
    }

    private void fill(byte value) {
        for (int i = 0; i < SIZE; i++) {
            mapped.put(i, value);
        }
    }
}
