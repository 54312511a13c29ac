package dev.hotfork.bench;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** The same work each time: sorting, hashing, text, allocation, exceptions. */
public final class FixedLoad {
    private static final int ROUNDS = 20;
    private static final int ENTRIES = 20_000;

    private FixedLoad() {}

    public static void main(String[] arguments) {
        Random random = new Random(7);
        long sum = 0;
        for (int round = 0; round < ROUNDS; round++) {
            Map<String, Integer> counts = new HashMap<>();
            for (int i = 0; i < ENTRIES; i++) {
                counts.merge("key-" + random.nextInt(5000), parsed(i), Integer::sum);
            }
            List<Map.Entry<String, Integer>> entries = new ArrayList<>(counts.entrySet());
            entries.sort(Map.Entry.<String, Integer>comparingByValue().thenComparing(Map.Entry.comparingByKey(Comparator.reverseOrder())));
            sum += entries.get(round).getValue();
        }
        System.out.println(sum);
    }

    private static int parsed(int i) {
        try {
            return Integer.parseInt(i % 50 == 0 ? "none" : Integer.toString(i));
        } catch (NumberFormatException e) {
            return -1;
        }
    }
}
