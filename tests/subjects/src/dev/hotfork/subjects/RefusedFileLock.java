package dev.hotfork.subjects;

import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** A lock, on a file that is open for appending only, so that nothing else stands in the way of a capture. */
@Traits(refused = "(?i)lock.*RefusedFileLock-[0-9]+-locked|RefusedFileLock-[0-9]+-locked.*lock")
public final class RefusedFileLock extends Subject {
    private Path path;
    private FileLock lock;

    public static void main(String[] args) {
        new RefusedFileLock().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        path = outsideTmp("locked");
        FileChannel channel = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        lock = channel.lock();
        say("NAMES " + path);
    }

    @Override
    protected void check() throws Exception {
        require(lock.isValid(), "the lock is not valid any more");
        long inode = (Long) Files.getAttribute(path, "unix:ino");
        boolean held = Files.readAllLines(Path.of("/proc/locks")).stream()
            .anyMatch(line -> line.contains(":" + inode + " "));
        require(held, "the kernel knows of no lock on %s", path);
        try {
            lock.channel().tryLock();
            require(false, "a lock was given twice");
        } catch (OverlappingFileLockException e) {
            lock.release();
        }
    }
}
