package dev.hotfork.subjects;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.util.Map;

/** A bound UDP socket. */
@Traits(refused = "(?i)udp|datagram")
public final class RefusedUdpSocket extends Subject {
    private DatagramChannel channel;

    public static void main(String[] args) {
        new RefusedUdpSocket().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        Map<Integer, String> before = Proc.descriptors();
        channel = DatagramChannel.open();
        channel.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        say("NAMES " + Proc.opened(before, "socket:"));
    }

    @Override
    protected void check() throws Exception {
        SocketAddress self = channel.getLocalAddress();
        channel.send(ByteBuffer.wrap(new byte[] {5}), self);
        ByteBuffer one = ByteBuffer.allocate(1);
        require(self.equals(channel.receive(one)) && one.get(0) == 5, "the socket does not get what it sent");
    }
}
