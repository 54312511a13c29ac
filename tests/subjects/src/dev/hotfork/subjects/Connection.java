package dev.hotfork.subjects;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;

/** Both ends of a stream connection inside this JVM. No listener is left, so that a capture has none to carry. */
final class Connection {
    final End client;
    final End server;

    /** One end, of java.net or of java.nio. */
    interface End {
        /** One byte, or -1 at the end of the stream. */
        int read() throws IOException;

        void write(int b) throws IOException;

        void shutdownOutput() throws IOException;

        void close() throws IOException;
    }

    private Connection(End client, End server) {
        this.client = client;
        this.server = server;
    }

    static Connection ofSockets() throws IOException {
        try (ServerSocket listener = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            Socket client = new Socket(listener.getInetAddress(), listener.getLocalPort());
            client.setTcpNoDelay(true);
            return new Connection(end(client), end(listener.accept()));
        }
    }

    static Connection ofChannels() throws IOException {
        try (ServerSocketChannel listener = ServerSocketChannel.open()) {
            listener.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
            return connect(listener, listener.getLocalAddress());
        }
    }

    static Connection ofUnixChannels() throws IOException {
        Path name = Path.of(System.getProperty("java.io.tmpdir"), "connection-" + Proc.pid() + ".sock");
        try (ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            listener.bind(UnixDomainSocketAddress.of(name));
            return connect(listener, listener.getLocalAddress());
        } finally {
            Files.deleteIfExists(name);
        }
    }

    private static Connection connect(ServerSocketChannel listener, SocketAddress address) throws IOException {
        SocketChannel client = SocketChannel.open(address);
        return new Connection(end(client), end(listener.accept()));
    }

    private static End end(Socket socket) {
        return new End() {
            @Override
            public int read() throws IOException {
                return socket.getInputStream().read();
            }

            @Override
            public void write(int b) throws IOException {
                socket.getOutputStream().write(b);
            }

            @Override
            public void shutdownOutput() throws IOException {
                socket.shutdownOutput();
            }

            @Override
            public void close() throws IOException {
                socket.close();
            }
        };
    }

    private static End end(SocketChannel channel) {
        return new End() {
            @Override
            public int read() throws IOException {
                ByteBuffer one = ByteBuffer.allocate(1);
                int length = channel.read(one);
                return length < 0 ? length : one.get(0);
            }

            @Override
            public void write(int b) throws IOException {
                channel.write(ByteBuffer.wrap(new byte[] {(byte) b}));
            }

            @Override
            public void shutdownOutput() throws IOException {
                channel.shutdownOutput();
            }

            @Override
            public void close() throws IOException {
                channel.close();
            }
        };
    }
}
