package dev.hotfork.samples.http;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

/** An HTTP service on the JDK's own server. Port: first argument, else system property {@code port}, else 8080. */
public final class HttpService {
    private static final int THREADS = 4;

    private HttpService() {}

    public static void main(String[] arguments) throws IOException {
        int port = arguments.length > 0 ? Integer.parseInt(arguments[0]) : Integer.getInteger("port", 8080);
        // The server writes head and body separately; without this Nagle's algorithm holds the body back for 40 ms.
        System.setProperty("sun.net.httpserver.nodelay", "true");

        HttpServer server = HttpServer.create(new InetSocketAddress(port), 0);
        server.setExecutor(Executors.newFixedThreadPool(THREADS));
        server.createContext("/", new Router());
        server.start();
        System.out.println("READY http://localhost:" + port + "/");
    }
}
