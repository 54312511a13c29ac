package dev.hotfork.subjects;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Live objects of -Dhotfork.live.mb=MB (64 unless told), all verified: large arrays, small linked nodes, a map. The
 * heap has to be half as much again.
 */
@Traits(heap = 160)
public final class LargeHeap extends Subject {
    private static final int ARRAY_LONGS = 100_000;
    private static final int MB = 1 << 20;
    private static final int MOST_NODES = 2_000_000;

    private final List<long[]> arrays = new ArrayList<>();
    private final Map<Integer, String> texts = new HashMap<>();
    private Node first;
    private int nodes;

    private static final class Node {
        final long content;
        final Node next;

        Node(long content, Node next) {
            this.content = content;
            this.next = next;
        }
    }

    public static void main(String[] args) {
        new LargeHeap().run(args);
    }

    @Override
    protected void setUp() {
        long bytes = Integer.getInteger("hotfork.live.mb", 64) * (long) MB;
        for (nodes = 0; nodes < MOST_NODES && nodes * 64L < bytes; nodes++) {
            first = new Node(mix(nodes), first);
        }
        for (int i = 0; i < nodes / 20; i++) {
            texts.put(i, "text " + i);
        }
        while (arrays.size() * (long) ARRAY_LONGS * Long.BYTES < bytes - nodes * 32L) {
            long[] array = new long[ARRAY_LONGS];
            for (int i = 0; i < ARRAY_LONGS; i++) {
                array[i] = mix(arrays.size() * (long) ARRAY_LONGS + i);
            }
            arrays.add(array);
        }
    }

    @Override
    protected void check() {
        int left = nodes;
        for (Node node = first; node != null; node = node.next) {
            left--;
            require(node.content == mix(left), "node %d holds %x", left, node.content);
        }
        require(left == 0, "%d nodes are lost", left);
        texts.forEach((i, text) -> require(text.equals("text " + i), "text %d is %s", i, text));
        require(texts.size() == nodes / 20, "%d texts are left", texts.size());
        for (int at = 0; at < arrays.size(); at++) {
            long[] array = arrays.get(at);
            for (int i = 0; i < ARRAY_LONGS; i++) {
                require(array[i] == mix(at * (long) ARRAY_LONGS + i), "array %d holds %x at %d", at, array[i], i);
            }
        }
    }

    private static long mix(long i) {
        long x = (i + 1) * 0x9E3779B97F4A7C15L;
        return x ^ x >>> 29;
    }
}
