package dev.hotfork.subjects;

import java.io.RandomAccessFile;
import java.nio.file.Path;

/** A file open for writing at an offset: all instances would write over each other. */
@Traits(refused = "RefusedWritableFile-[0-9]+-data")
public final class RefusedWritableFile extends Subject {
    private static final String TEXT = "written before";

    private RandomAccessFile file;

    public static void main(String[] args) {
        new RefusedWritableFile().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        Path path = outsideTmp("data");
        file = new RandomAccessFile(path.toFile(), "rw");
        file.writeUTF(TEXT);
        say("NAMES " + path);
    }

    @Override
    protected void check() throws Exception {
        file.writeUTF("written after");
        file.seek(0);
        require(file.readUTF().equals(TEXT), "what was written before is lost");
        require(file.readUTF().equals("written after"), "what was written after is lost");
    }
}
