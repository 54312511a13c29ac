package dev.hotfork.subjects;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** A directory that is watched by inotify. */
@Traits(refused = "(?i)inotify")
public final class RefusedWatchService extends Subject {
    private Path directory;
    private WatchService watcher;

    public static void main(String[] args) {
        new RefusedWatchService().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        Map<Integer, String> before = Proc.descriptors();
        directory = Files.createDirectories(outsideTmp("watched"));
        watcher = directory.getFileSystem().newWatchService();
        directory.register(watcher, StandardWatchEventKinds.ENTRY_CREATE);
        say("NAMES " + Proc.opened(before, "anon_inode:inotify"));
    }

    @Override
    protected void check() throws Exception {
        Files.createFile(directory.resolve("new"));
        WatchKey key = watcher.poll(20, TimeUnit.SECONDS);
        require(key != null, "no event arrives");
        Object name = key.pollEvents().get(0).context();
        require(name.equals(Path.of("new")), "an event about %s", name);
    }
}
