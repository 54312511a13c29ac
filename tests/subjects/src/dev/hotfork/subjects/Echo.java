package dev.hotfork.subjects;

import static dev.hotfork.subjects.Subject.require;

import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;

/** The client of listeners that send one byte back. */
final class Echo {
    private static final int SENT = 77;
    private static final int TIMEOUT_MILLIS = 20_000;

    private Echo() {
    }

    static void ask(int port) throws IOException {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            socket.setSoTimeout(TIMEOUT_MILLIS);
            socket.getOutputStream().write(SENT);
            int answer = socket.getInputStream().read();
            require(answer == SENT, "the listener answered %d", answer);
        }
    }
}
