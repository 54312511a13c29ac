package dev.hotfork.samples.http;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import java.io.IOException;
import java.util.Map;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Answers {@code GET /PATH?order=N}; the same URL always gets the same body. */
final class Router implements HttpHandler {
    private static final Pattern ORDER_NUMBER = Pattern.compile("order=(\\d{1,9})");

    private static final Map<String, Function<Order, String>> ANSWERS = Map.of(
            "/", MixedAnswer::of,
            "/mix", MixedAnswer::of,
            "/json", JsonAnswer::of,
            "/crypto", CryptoAnswer::of,
            "/text", TextAnswer::of,
            "/statistics", StatisticsAnswer::of,
            "/health", order -> "{\"status\":\"UP\"}");

    @Override
    public void handle(HttpExchange exchange) throws IOException {
        Function<Order, String> answer = ANSWERS.get(exchange.getRequestURI().getPath());
        int order = orderNumber(exchange.getRequestURI().getRawQuery());
        if (!exchange.getRequestMethod().equals("GET")) {
            send(exchange, 405, error("only GET is answered"));
        } else if (answer == null) {
            send(exchange, 404, error("no such path"));
        } else if (order < 0) {
            send(exchange, 400, error("the query must be order=NUMBER"));
        } else {
            send(exchange, 200, answer.apply(Order.numbered(order)));
        }
    }

    /** The number asked for, 1 without a query, -1 if the query is anything else. */
    private static int orderNumber(String query) {
        if (query == null) {
            return 1;
        }
        Matcher matcher = ORDER_NUMBER.matcher(query);
        return matcher.matches() ? Integer.parseInt(matcher.group(1)) : -1;
    }

    private static String error(String message) {
        return "{\"error\":\"" + message + "\"}";
    }

    private static void send(HttpExchange exchange, int status, String json) throws IOException {
        byte[] body = json.getBytes(UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "application/json");
        try (exchange) {
            exchange.sendResponseHeaders(status, body.length);
            exchange.getResponseBody().write(body);
        }
    }
}
