package dev.hotfork.subjects;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;

/** Connections whose clients have shut down their output: in the original servers can still answer. */
@Traits
public final class HalfClosedSockets extends Subject {
    private static final int SENT = 55;

    private final Map<String, Connection> connections = new LinkedHashMap<>();

    public static void main(String[] args) {
        new HalfClosedSockets().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        connections.put("socket", Connection.ofSockets());
        connections.put("channel", Connection.ofChannels());
        connections.put("Unix channel", Connection.ofUnixChannels());
        for (Connection connection : connections.values()) {
            connection.client.shutdownOutput();
            require(connection.server.read() == -1, "a server does not see the end");
        }
    }

    @Override
    protected void check() throws Exception {
        for (Map.Entry<String, Connection> entry : connections.entrySet()) {
            Connection.End client = entry.getValue().client;
            Connection.End server = entry.getValue().server;
            require(server.read() == -1, "%s: the server is not at its end any more", entry.getKey());
            if (original()) {
                server.write(SENT);
                require(client.read() == SENT, "%s: the client does not get the answer", entry.getKey());
            } else {
                require(client.read() == -1, "%s: the dead client is not at its end", entry.getKey());
                throwsOnWrite(entry.getKey() + " server", server);
            }
            throwsOnWrite(entry.getKey() + " client", client);
        }
    }

    private static void throwsOnWrite(String name, Connection.End end) {
        try {
            end.write(SENT);
        } catch (IOException e) {
            return;
        }
        require(false, "%s takes bytes", name);
    }
}
