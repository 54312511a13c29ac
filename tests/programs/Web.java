import com.sun.net.httpserver.HttpServer;
import java.io.BufferedReader;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntUnaryOperator;

/**
 * A service for tests of the training load. GET / is answered by the number of requests so far, other paths by 404. On
 * stdin it takes what Cat takes, and "open PORT" or "open PORT ADDRESS": only then it listens there. Its argument, if any,
 * names a log: a line for each request is appended. GET /hang is never answered. GET /compile does something new once in
 * whoever is not the process that it began in, unless that one was told "calm when FILE" and has seen the file. GET /trap goes
 * twelve ways there that compiled code had left out.
 */
public final class Web {
    private static final AtomicLong ASKED = new AtomicLong();
    private static final Path SELF = Path.of("/proc/self/stat");
    private static FileOutputStream log;
    private static String begun;
    private static volatile boolean calm;
    private static boolean elsewhere;
    /** Each is compiled by itself: a call of one of so many is not inlined. */
    private static final IntUnaryOperator[] WAYS = {
        i -> elsewhere ? -i : i, i -> elsewhere ? -i : i + 1, i -> elsewhere ? -i : i + 2, i -> elsewhere ? -i : i + 3,
        i -> elsewhere ? -i : i + 4, i -> elsewhere ? -i : i + 5, i -> elsewhere ? -i : i + 6, i -> elsewhere ? -i : i + 7,
        i -> elsewhere ? -i : i + 8, i -> elsewhere ? -i : i + 9, i -> elsewhere ? -i : i + 10, i -> elsewhere ? -i : i + 11,
    };

    private Web() {
    }

    public static void main(String[] args) throws Exception {
        begun = pid();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("HOOK ran")));
        log = args.length == 0 ? null : new FileOutputStream(args[0], true);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        System.out.println("READY " + String.join(" ", args));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            if (line.startsWith("exit ")) {
                System.exit(Integer.parseInt(line.substring("exit ".length())));
            }
            if (line.startsWith("open ")) {
                String[] words = line.split(" ");
                open(Integer.parseInt(words[1]), InetAddress.getByName(words.length > 2 ? words[2] : null));
            }
            if (line.startsWith("calm when ")) {
                Path file = Path.of(line.substring("calm when ".length()));
                new Thread(() -> calmWhen(file)).start();
            }
            System.out.println("heard " + line);
        }
    }

    private static void calmWhen(Path file) {
        while (!Files.exists(file)) {
            LockSupport.parkNanos(5_000_000);
        }
        calm = true;
    }

    /** Not ProcessHandle's, which JDK 25 compiles into the code. */
    private static String pid() throws IOException {
        return Files.readString(SELF).split(" ")[0];
    }

    /** New code for a quarter of a second of a processor, however many others want it. */
    private static void compile() throws IOException {
        if (calm || begun.equals(pid())) {
            return;
        }
        calm = true;
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        long end = threads.getCurrentThreadCpuTime() + 250_000_000;
        for (int i = 0; threads.getCurrentThreadCpuTime() < end; i++) {
            String text = String.format("%d %x %s %.3f", i, i * 31, Integer.toString(i, 7), i / 7.0);
            if (!text.replaceAll("[0-9]+", "n").startsWith("n ")) {
                throw new AssertionError(text);
            }
        }
    }

    private static void trap() throws IOException {
        elsewhere = !begun.equals(pid());
        for (int i = 0; i < 500; i++) {
            for (IntUnaryOperator way : WAYS) {
                way.applyAsInt(i);
            }
        }
    }

    private static void open(int port, InetAddress address) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress(address, port), 50);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/", exchange -> {
            if (log != null) {
                log.write((exchange.getRequestURI() + "\n").getBytes(StandardCharsets.US_ASCII));
            }
            if (exchange.getRequestURI().getPath().equals("/hang")) {
                Thread.currentThread().setName("hangs");
                while (true) {
                    LockSupport.park();
                }
            }
            if (exchange.getRequestURI().getPath().equals("/compile")) {
                compile();
            }
            if (exchange.getRequestURI().getPath().equals("/trap")) {
                trap();
            }
            boolean found = exchange.getRequestURI().getPath().matches("/(compile|trap)?");
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
