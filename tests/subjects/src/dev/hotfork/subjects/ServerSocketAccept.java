package dev.hotfork.subjects;

import java.net.ServerSocket;
import java.net.Socket;

/** A thread in accept, without a timeout, on the wildcard address. */
@Traits(port = true)
public final class ServerSocketAccept extends Subject {
    private ServerSocket listener;

    public static void main(String[] args) {
        new ServerSocketAccept().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        listener = new ServerSocket(port());
        start("acceptor", () -> {
            while (true) {
                try (Socket client = listener.accept()) {
                    client.getOutputStream().write(client.getInputStream().read());
                }
            }
        });
        Echo.ask(port());
    }

    @Override
    protected void check() throws Exception {
        for (int i = 0; i < 10; i++) {
            Echo.ask(port());
        }
    }
}
