package dev.hotfork.samples.http;

import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;

/** An order made up from its number alone, so that every run and every instance makes the same one. */
record Order(int number, String customer, LocalDate placed, List<Line> lines) {
    record Line(String product, String category, int quantity, int cents) {
        long total() {
            return (long) quantity * cents;
        }
    }

    private static final List<String> CUSTOMERS =
            List.of("Ada Lovelace", "Alan Turing", "Grace Hopper", "Edsger Dijkstra", "Barbara Liskov", "Tony Hoare");
    private static final List<String> MATERIALS = List.of("Oak", "Steel", "Linen", "Glass", "Copper", "Wool", "Cork");
    private static final List<String> THINGS = List.of("Table", "Lamp", "Chair", "Shelf", "Bowl", "Clock");
    private static final LocalDate FIRST_DAY = LocalDate.of(2024, 1, 1);
    private static final int LINES = 24;

    static Order numbered(int number) {
        List<Line> lines = new ArrayList<>(LINES);
        for (int i = 0; i < LINES; i++) {
            int dice = scatter(number * 31 + i);
            String material = pick(MATERIALS, dice);
            String thing = pick(THINGS, dice >>> 8);
            lines.add(new Line(material + " " + thing, thing, 1 + (dice >>> 16) % 9, 100 + (dice >>> 5) % 20_000));
        }
        return new Order(number, pick(CUSTOMERS, scatter(number)), FIRST_DAY.plusDays(number % 3650), lines);
    }

    private static String pick(List<String> names, int dice) {
        return names.get(dice % names.size());
    }

    /** Spreads neighbouring numbers over all non-negative ints (the finaliser of MurmurHash3). */
    private static int scatter(int value) {
        int mixed = (value ^ (value >>> 16)) * 0x85ebca6b;
        mixed = (mixed ^ (mixed >>> 13)) * 0xc2b2ae35;
        return (mixed ^ (mixed >>> 16)) & Integer.MAX_VALUE;
    }
}
