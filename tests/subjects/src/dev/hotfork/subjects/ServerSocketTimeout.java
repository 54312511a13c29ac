package dev.hotfork.subjects;

import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

/** A thread in accept with SO_TIMEOUT: it goes on to time out, and to accept. */
@Traits(port = true)
public final class ServerSocketTimeout extends Subject {
    private final AtomicLong timeouts = new AtomicLong();
    private ServerSocket listener;

    public static void main(String[] args) {
        new ServerSocketTimeout().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        listener = new ServerSocket(port(), 10, InetAddress.getLoopbackAddress());
        listener.setSoTimeout(50);
        start("acceptor", () -> {
            while (true) {
                try (Socket client = listener.accept()) {
                    client.getOutputStream().write(client.getInputStream().read());
                } catch (SocketTimeoutException e) {
                    timeouts.incrementAndGet();
                }
            }
        });
        acceptAndTimeOut();
    }

    @Override
    protected void check() throws Exception {
        acceptAndTimeOut();
    }

    private void acceptAndTimeOut() throws Exception {
        Echo.ask(port());
        allAdvance(Map.of("timing out", timeouts), 2);
        Echo.ask(port());
    }
}
