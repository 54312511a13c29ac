package dev.hotfork.subjects;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * Connections with a thread blocked in read at either end, and idle ones. In the original they go on to work; in an
 * instance they are dead: reads give the end of the stream, writes throw.
 */
@Traits
public final class ConnectedSockets extends Subject {
    private static final int SENT = 99;

    private final List<Pair> pairs = new ArrayList<>();

    /** What the readers of a connection got. */
    private final class Pair {
        final String name;
        final Connection connection;
        final BlockingQueue<Integer> atClient = new LinkedBlockingQueue<>();
        final BlockingQueue<Integer> atServer = new LinkedBlockingQueue<>();

        Pair(String name, Connection connection) {
            this.name = name;
            this.connection = connection;
        }

        void startReaders() {
            start(name + " client", () -> deliver(connection.client, atClient));
            start(name + " server", () -> deliver(connection.server, atServer));
        }
    }

    public static void main(String[] args) {
        new ConnectedSockets().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        for (boolean blocked : new boolean[] {true, false}) {
            String kind = blocked ? "blocked " : "idle ";
            pairs.add(new Pair(kind + "socket", Connection.ofSockets()));
            pairs.add(new Pair(kind + "channel", Connection.ofChannels()));
            pairs.add(new Pair(kind + "Unix channel", Connection.ofUnixChannels()));
            if (blocked) {
                pairs.forEach(Pair::startReaders);
            }
        }
        for (Pair pair : pairs.subList(0, pairs.size() / 2)) {
            works(pair);
        }
    }

    @Override
    protected void check() throws Exception {
        boolean original = original();
        for (Pair pair : pairs) {
            if (pair.name.startsWith("idle")) {
                pair.startReaders();
            }
            if (original) {
                works(pair);
            } else {
                isDead(pair.name + " client", pair.connection.client, pair.atClient);
                isDead(pair.name + " server", pair.connection.server, pair.atServer);
            }
        }
    }

    private static void deliver(Connection.End end, BlockingQueue<Integer> queue) throws IOException {
        int got = end.read();
        while (got >= 0) {
            queue.add(got);
            got = end.read();
        }
        queue.add(-1);
    }

    private void works(Pair pair) throws Exception {
        pair.connection.client.write(SENT);
        expect(pair.name + " server", SENT, pair.atServer);
        pair.connection.server.write(SENT + 1);
        expect(pair.name + " client", SENT + 1, pair.atClient);
    }

    private void isDead(String name, Connection.End end, BlockingQueue<Integer> queue) throws Exception {
        expect(name, -1, queue);
        require(end.read() == -1, "%s is read again, and not at its end", name);
        try {
            end.write(SENT);
            require(false, "%s is dead and takes bytes", name);
        } catch (IOException e) {
            end.close();
        }
    }

    private void expect(String name, int expected, BlockingQueue<Integer> queue) throws InterruptedException {
        Integer got = queue.poll(60, TimeUnit.SECONDS);
        require(got != null, "%s: the thread in read does not return", name);
        require(got == expected, "%s read %d, not %d", name, got, expected);
    }
}
