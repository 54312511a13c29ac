package dev.hotfork.subjects;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Random state that static fields reach, all of it used before the capture. Prints what it gives then as lines "RANDOM
 * kind value": no line may come twice among the original and all instances. Objects that hold a state of their own, as
 * a java.util.Random does, are not in here.
 */
@Traits(harness = "random")
public final class RandomState extends Subject {
    private static final int THREADS = 3;

    private final SecureRandom held = new SecureRandom();
    private final BlockingQueue<Long> fromThreads = new LinkedBlockingQueue<>();
    private final CountDownLatch ready = new CountDownLatch(THREADS);
    private final CountDownLatch asked = new CountDownLatch(1);

    public static void main(String[] args) {
        new RandomState().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        for (int i = 0; i < THREADS; i++) {
            start("random-" + i, () -> {
                ThreadLocalRandom.current().nextLong();
                ready.countDown();
                asked.await();
                fromThreads.add(ThreadLocalRandom.current().nextLong());
            });
        }
        await("the threads run", ready);
        tellAll(false);
    }

    @Override
    protected void check() throws Exception {
        tellAll(true);
        asked.countDown();
        for (int i = 0; i < THREADS; i++) {
            tell(true, "ThreadLocalRandom-of-before", fromThreads.take());
        }
    }

    private void tellAll(boolean aloud) throws Exception {
        tell(aloud, "SecureRandom-of-before", held.nextLong());
        tell(aloud, "new-SecureRandom", new SecureRandom().nextLong());
        tell(aloud, "generateSeed", HexFormat.of().formatHex(held.generateSeed(8)));
        tell(aloud, "UUID", UUID.randomUUID().toString().replace("-", ""));
        tell(aloud, "new-Random", new Random().nextLong());
        tell(aloud, "new-SplittableRandom", new SplittableRandom().nextLong());
        // This runs in the thread "check", which is new.
        tell(aloud, "ThreadLocalRandom-of-new-thread", ThreadLocalRandom.current().nextLong());
        Path nio = Files.createTempFile(null, "");
        tell(aloud, "Files.createTempFile", Long.parseUnsignedLong(nio.getFileName().toString()));
        Files.delete(nio);
        File io = File.createTempFile("random", "");
        tell(aloud, "File.createTempFile", Long.parseUnsignedLong(io.getName().substring("random".length())));
        Files.delete(io.toPath());
    }

    private void tell(boolean aloud, String kind, long value) {
        tell(aloud, kind, HexFormat.of().toHexDigits(value));
    }

    private void tell(boolean aloud, String kind, String hex) {
        if (aloud) {
            say("RANDOM " + kind + " " + hex);
        }
    }
}
