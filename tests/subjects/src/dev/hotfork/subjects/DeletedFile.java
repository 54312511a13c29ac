package dev.hotfork.subjects;

import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;

/** Files below the temporary directory that are being read: one deleted, one that the original deletes later. */
@Traits
public final class DeletedFile extends Subject {
    private static final int SIZE = 200_000;

    private SteadyReader deleted;
    private SteadyReader named;

    public static void main(String[] args) {
        new DeletedFile().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        Path first = Files.createTempFile("deleted", null);
        deleted = reader(first);
        Files.delete(first);
        Path second = Files.createTempFile("named", null);
        second.toFile().deleteOnExit();
        named = reader(second);
        start("deleted", deleted::readOn);
        start("named", named::readOn);
        bothReadOn();
    }

    @Override
    protected void check() {
        bothReadOn();
    }

    private static SteadyReader reader(Path file) throws Exception {
        byte[] content = new byte[SIZE];
        new Random(SIZE).nextBytes(content);
        Files.write(file, content);
        return new SteadyReader(FileChannel.open(file), content);
    }

    private void bothReadOn() {
        allAdvance(Map.of("reading a deleted file", deleted.pieces(), "reading a file", named.pieces()), 50);
    }
}
