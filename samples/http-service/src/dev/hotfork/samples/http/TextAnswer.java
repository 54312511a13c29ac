package dev.hotfork.samples.http;

import java.time.format.DateTimeFormatter;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/** Formats the order as an invoice, then takes the invoice apart again with regular expressions. */
final class TextAnswer {
    private static final DateTimeFormatter DAY = DateTimeFormatter.ofPattern("d MMMM uuuu", Locale.ENGLISH);
    private static final Pattern LINE = Pattern.compile("(\\d+) x (\\w+) (\\w+)\\s+(\\d+\\.\\d{2})");
    private static final Pattern SPACES = Pattern.compile("\\s+");

    private TextAnswer() {}

    static String of(Order order) {
        String invoice = invoice(order);
        Map<String, Integer> materials = new TreeMap<>();
        LINE.matcher(invoice).results()
                .forEach(line -> materials.merge(line.group(2), Integer.parseInt(line.group(1)), Integer::sum));
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("number", order.number());
        answer.put("title", invoice.lines().findFirst().orElseThrow());
        answer.put("words", SPACES.split(invoice.strip()).length);
        answer.put("pieces", materials);
        answer.put("dearest", dearest(invoice));
        return JsonWriter.write(answer);
    }

    private static String invoice(Order order) {
        StringBuilder text = new StringBuilder();
        text.append(String.format(Locale.ROOT, "Invoice %06d for %s, %s\n",
                order.number(), order.customer(), DAY.format(order.placed())));
        for (Order.Line line : order.lines()) {
            text.append(String.format(Locale.ROOT, "%3d x %-20s %10.2f\n",
                    line.quantity(), line.product(), line.total() / 100.0));
        }
        return text.toString();
    }

    private static String dearest(String invoice) {
        return LINE.matcher(invoice).results()
                .max((a, b) -> Double.compare(price(a), price(b)))
                .map(line -> line.group(3).toLowerCase(Locale.ROOT) + " of " + line.group(2).toLowerCase(Locale.ROOT))
                .orElseThrow();
    }

    private static double price(MatchResult line) {
        return Double.parseDouble(line.group(4));
    }
}
