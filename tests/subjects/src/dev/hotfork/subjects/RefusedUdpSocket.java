package dev.hotfork.subjects;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;

/** A bound UDP socket. */
@Traits(refused = "(?i)udp|datagram")
public final class RefusedUdpSocket extends Subject {
    private DatagramChannel channel;

    public static void main(String[] args) {
        new RefusedUdpSocket().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        channel = DatagramChannel.open();
        channel.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        // The JDK opens sockets of its own along with it, so its number is not told apart: its port is.
        say("NAMES " + ((InetSocketAddress) channel.getLocalAddress()).getPort());
    }

    @Override
    protected void check() throws Exception {
        SocketAddress self = channel.getLocalAddress();
        channel.send(ByteBuffer.wrap(new byte[] {5}), self);
        ByteBuffer one = ByteBuffer.allocate(1);
        require(self.equals(channel.receive(one)) && one.get(0) == 5, "the socket does not get what it sent");
    }
}
