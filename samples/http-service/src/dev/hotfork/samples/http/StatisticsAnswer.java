package dev.hotfork.samples.http;

import static java.util.stream.Collectors.groupingBy;
import static java.util.stream.Collectors.summarizingLong;

import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.LongSummaryStatistics;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;

/** Collections and streams over a few neighbouring orders: sales by category, best sellers, busiest days. */
final class StatisticsAnswer {
    private static final int ORDERS = 12;
    private static final int BEST = 5;

    private StatisticsAnswer() {}

    static String of(Order first) {
        List<Order> orders = IntStream.range(0, ORDERS).mapToObj(i -> Order.numbered(first.number() + i)).toList();
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("number", first.number());
        answer.put("categories", categories(orders));
        answer.put("best", bestSellers(orders));
        answer.put("weekdays", centsByWeekday(orders));
        return JsonWriter.write(answer);
    }

    private static Map<String, Object> categories(List<Order> orders) {
        Map<String, LongSummaryStatistics> sales = orders.stream()
                .flatMap(order -> order.lines().stream())
                .collect(groupingBy(Order.Line::category, TreeMap::new, summarizingLong(Order.Line::total)));
        Map<String, Object> shown = new LinkedHashMap<>();
        sales.forEach((category, sum) ->
                shown.put(category, List.of(sum.getCount(), sum.getMin(), sum.getMax(), sum.getSum())));
        return shown;
    }

    private static List<String> bestSellers(List<Order> orders) {
        Map<String, Integer> pieces = new HashMap<>();
        for (Order order : orders) {
            for (Order.Line line : order.lines()) {
                pieces.merge(line.product(), line.quantity(), Integer::sum);
            }
        }
        return pieces.entrySet().stream()
                .sorted(Map.Entry.<String, Integer>comparingByValue(Comparator.reverseOrder())
                        .thenComparing(Map.Entry.comparingByKey()))
                .limit(BEST)
                .map(entry -> entry.getKey() + ": " + entry.getValue())
                .toList();
    }

    private static Map<String, Long> centsByWeekday(List<Order> orders) {
        Map<String, Long> cents = new TreeMap<>();
        for (Order order : orders) {
            long total = order.lines().stream().mapToLong(Order.Line::total).sum();
            cents.merge(order.placed().getDayOfWeek().name(), total, Long::sum);
        }
        return cents;
    }
}
