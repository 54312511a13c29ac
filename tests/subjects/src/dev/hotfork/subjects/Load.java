package dev.hotfork.subjects;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Full load: threads that verify every result they compute, two that fight for a lock, and an HTTP server that clients
 * may drive. GET /work?n=N is answered by "N N*N+1"; keep N below 2^31.
 */
@Traits(port = true, options = "-Dsun.net.httpserver.nodelay=true", harness = "http")
public final class Load extends Subject {
    private final Map<String, AtomicLong> rounds = new ConcurrentHashMap<>();
    private final Object lock = new Object();
    private long left;
    private long right;

    public static void main(String[] args) {
        new Load().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        Workloads.all().forEach((name, maker) -> repeat(name, maker.get()));
        repeat("lock 1", this::move);
        repeat("lock 2", this::move);
        HttpServer server =
            HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port()), 100);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/work", Load::answer);
        server.start();
        allAdvance(rounds, 1);
        askOverHttp();
    }

    @Override
    protected void check() throws Exception {
        allAdvance(rounds, 2);
        askOverHttp();
    }

    private void repeat(String name, Workloads.Workload workload) {
        AtomicLong count = new AtomicLong();
        rounds.put(name, count);
        start(name, () -> {
            while (true) {
                workload.round();
                count.incrementAndGet();
            }
        });
    }

    private void move() {
        for (int i = 0; i < 200; i++) {
            synchronized (lock) {
                require(left == right, "two threads were inside one lock");
                left++;
                Thread.onSpinWait();
                right++;
            }
        }
    }

    private static void answer(HttpExchange exchange) throws IOException {
        long n = Long.parseLong(exchange.getRequestURI().getQuery().substring("n=".length()));
        byte[] body = answer(n).getBytes(StandardCharsets.US_ASCII);
        exchange.sendResponseHeaders(200, body.length);
        // Not exchange.close(), which ends the connection too.
        try (OutputStream out = exchange.getResponseBody()) {
            out.write(body);
        }
    }

    private static String answer(long n) {
        return n + " " + (n * n + 1);
    }

    private void askOverHttp() throws IOException {
        for (int n = 0; n < 5; n++) {
            URL url = new URL("http", InetAddress.getLoopbackAddress().getHostAddress(), port(), "/work?n=" + n);
            HttpURLConnection connection = (HttpURLConnection) url.openConnection();
            connection.setReadTimeout(20_000);
            String body = new String(connection.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
            require(body.equals(answer(n)), "HTTP answered %s to %d", body, n);
        }
    }
}
