package dev.hotfork.samples.http;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** JSON both ways: writes the order, reads the text back and sums up what it read. */
final class JsonAnswer {
    private JsonAnswer() {}

    static String of(Order order) {
        Map<?, ?> read = (Map<?, ?>) JsonReader.read(document(order));
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("number", read.get("number"));
        answer.put("customer", read.get("customer"));
        answer.put("placed", read.get("placed"));
        List<?> lines = (List<?>) read.get("lines");
        answer.put("lines", lines.size());
        long quantity = 0;
        double euros = 0;
        for (Object element : lines) {
            Map<?, ?> line = (Map<?, ?>) element;
            quantity += (Long) line.get("quantity");
            euros += (Double) line.get("euros");
        }
        answer.put("quantity", quantity);
        answer.put("euros", Math.round(euros * 100) / 100.0);
        return JsonWriter.write(answer);
    }

    /** The whole order as JSON. */
    static String document(Order order) {
        List<Object> lines = new ArrayList<>();
        for (Order.Line line : order.lines()) {
            Map<String, Object> object = new LinkedHashMap<>();
            object.put("product", line.product());
            object.put("category", line.category());
            object.put("quantity", line.quantity());
            object.put("euros", line.total() / 100.0);
            lines.add(object);
        }
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("number", order.number());
        document.put("customer", order.customer());
        document.put("placed", order.placed().toString());
        document.put("lines", lines);
        return JsonWriter.write(document);
    }
}
