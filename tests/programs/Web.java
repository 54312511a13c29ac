import com.sun.net.httpserver.HttpServer;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A service for tests of the training load. GET / is answered by the number of requests so far, other paths by 404. On
 * stdin it takes what Cat takes, and "open PORT": only then it listens there.
 */
public final class Web {
    private static final AtomicLong ASKED = new AtomicLong();

    private Web() {
    }

    public static void main(String[] args) throws Exception {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("HOOK ran")));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        System.out.println("READY " + String.join(" ", args));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            if (line.startsWith("exit ")) {
                System.exit(Integer.parseInt(line.substring("exit ".length())));
            }
            if (line.startsWith("open ")) {
                open(Integer.parseInt(line.substring("open ".length())));
            }
            System.out.println("heard " + line);
        }
    }

    private static void open(int port) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 50);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/", exchange -> {
            boolean found = exchange.getRequestURI().getPath().equals("/");
            byte[] body = (found ? "" + ASKED.incrementAndGet() : "not here").getBytes(StandardCharsets.US_ASCII);
            exchange.sendResponseHeaders(found ? 200 : 404, body.length);
            // Not exchange.close(), which ends the connection too.
            try (OutputStream out = exchange.getResponseBody()) {
                out.write(body);
            }
        });
        server.start();
    }
}
