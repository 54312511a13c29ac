package dev.hotfork.subjects;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * The heap that malloc grows by brk: blocks of before are verified, and it grows by another 40 MB. Each thread has an
 * arena of its own unless MALLOC_ARENA_MAX forbids it, and only the main one is grown by brk.
 */
@Traits(env = "MALLOC_ARENA_MAX=1", options = "-XX:MaxDirectMemorySize=256m")
public final class NativeHeap extends Subject {
    /** Below the size from which malloc maps a block on its own. */
    private static final int BLOCK = 100_000;
    private static final int BLOCKS = 420;

    private final List<ByteBuffer> blocks = new ArrayList<>();

    public static void main(String[] args) {
        new NativeHeap().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        long before = Proc.brkBytes();
        allocate();
        long grown = Proc.brkBytes() - before;
        require(grown > BLOCK * BLOCKS / 2, "brk grew by %d bytes only: start it with MALLOC_ARENA_MAX=1", grown);
    }

    @Override
    protected void check() {
        verify();
        allocate();
        verify();
    }

    private void allocate() {
        for (int i = 0; i < BLOCKS; i++) {
            ByteBuffer block = ByteBuffer.allocateDirect(BLOCK);
            for (int at = 0; at < BLOCK; at += Long.BYTES) {
                require(block.getLong(at) == 0, "a new block is not empty");
                block.putLong(at, content(blocks.size(), at));
            }
            blocks.add(block);
        }
    }

    private void verify() {
        for (int i = 0; i < blocks.size(); i++) {
            for (int at = 0; at < BLOCK; at += Long.BYTES) {
                require(blocks.get(i).getLong(at) == content(i, at), "block %d has another content at %d", i, at);
            }
        }
    }

    private static long content(int block, int at) {
        return (block + 1) * 0x9E3779B97F4A7C15L + at;
    }
}
