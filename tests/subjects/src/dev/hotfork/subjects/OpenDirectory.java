package dev.hotfork.subjects;

import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SecureDirectoryStream;
import java.nio.file.StandardOpenOption;
import java.util.HashSet;
import java.util.Iterator;
import java.util.Set;

/** A directory that was read in part. The JDK keeps two descriptors of it, and they share one offset. */
@Traits
public final class OpenDirectory extends Subject {
    /** More than one system call returns. */
    private static final int FILES = 2000;
    private static final String PREFIX = "a-name-that-takes-its-room-";

    private final Set<String> names = new HashSet<>();
    private DirectoryStream<Path> stream;
    private Iterator<Path> entries;

    public static void main(String[] args) {
        new OpenDirectory().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        Path directory = Files.createDirectories(outsideTmp("directory"));
        for (int i = 0; i < FILES; i++) {
            Files.writeString(directory.resolve(PREFIX + i), "" + i);
        }
        stream = Files.newDirectoryStream(directory);
        entries = stream.iterator();
        for (int i = 0; i < FILES / 10; i++) {
            next();
        }
    }

    @Override
    protected void check() throws Exception {
        while (entries.hasNext()) {
            next();
        }
        require(names.size() == FILES, "%d of %d names came", names.size(), FILES);
        readByDescriptor(PREFIX + 7, "7");
        stream.close();
    }

    private void next() {
        String name = entries.next().getFileName().toString();
        require(name.startsWith(PREFIX), "a strange name: %s", name);
        require(names.add(name), "%s came twice", name);
    }

    private void readByDescriptor(String name, String expected) throws Exception {
        SecureDirectoryStream<Path> secure = (SecureDirectoryStream<Path>) stream;
        try (SeekableByteChannel file = secure.newByteChannel(Path.of(name), Set.of(StandardOpenOption.READ))) {
            ByteBuffer content = ByteBuffer.allocate(10);
            file.read(content);
            String text = new String(content.array(), 0, content.position());
            require(text.equals(expected), "%s contains %s", name, text);
        }
    }
}
