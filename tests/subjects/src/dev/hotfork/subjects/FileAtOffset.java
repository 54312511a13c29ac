package dev.hotfork.subjects;

import java.io.FileInputStream;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** A regular file outside the temporary directory, being read: in each process the offset is its own. */
@Traits
public final class FileAtOffset extends Subject {
    private byte[] content;
    private FileInputStream resting;
    private SteadyReader moving;

    public static void main(String[] args) {
        new FileAtOffset().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        Path file = Subjects.jar();
        content = Files.readAllBytes(file);
        resting = new FileInputStream(file.toFile());
        resting.skipNBytes(content.length / 2);
        moving = new SteadyReader(FileChannel.open(file), content);
        start("reader", moving::readOn);
        allAdvance(Map.of("the reader", moving.pieces()), 1);
    }

    @Override
    protected void check() throws Exception {
        for (int at = content.length / 2; at < content.length; at++) {
            require(resting.read() == (content[at] & 0xff), "another byte at %d", at);
        }
        require(resting.read() == -1, "the file is longer than it was");
        allAdvance(Map.of("the reader", moving.pieces()), 50);
    }
}
