package dev.hotfork.subjects;

import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;

/** A thread in accept on a Unix domain socket, whose name only one process can have at a time. */
@Traits(instances = Traits.Instances.ALONE)
public final class UnixListener extends Subject {
    private UnixDomainSocketAddress address;

    public static void main(String[] args) {
        new UnixListener().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        // A short path: some hundred bytes fit into an address.
        address = UnixDomainSocketAddress.of(
            Path.of(System.getProperty("java.io.tmpdir"), "subject-" + Proc.pid() + ".sock"));
        ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        listener.bind(address, 10);
        start("acceptor", () -> {
            while (true) {
                try (SocketChannel client = listener.accept()) {
                    ByteBuffer one = ByteBuffer.allocate(1);
                    client.read(one);
                    client.write(one.flip());
                }
            }
        });
        ask();
    }

    @Override
    protected void check() throws Exception {
        for (int i = 0; i < 10; i++) {
            ask();
        }
        Files.delete(address.getPath());
    }

    private void ask() throws Exception {
        try (SocketChannel client = SocketChannel.open(address)) {
            client.write(ByteBuffer.wrap(new byte[] {77}));
            ByteBuffer one = ByteBuffer.allocate(1);
            client.read(one);
            require(one.position() == 1 && one.get(0) == 77, "the listener did not answer");
        }
    }
}
