import java.io.BufferedReader;
import java.io.InputStreamReader;

/**
 * Answers each line of stdin, for tests of the command line. "exit N" ends it with that status, "ready" says so to
 * Hotfork, if its jar is there, "work" keeps a processor busy from then on, "many" does so in more methods than a small
 * code cache can hold.
 */
public final class Cat {
    private Cat() {
    }

    public static void main(String[] args) throws Exception {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("HOOK ran")));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        System.out.println("READY " + String.join(" ", args));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            if (line.startsWith("exit ")) {
                System.exit(Integer.parseInt(line.substring("exit ".length())));
            }
            if (line.startsWith("fail ")) {
                System.err.println(line.substring("fail ".length()));
            }
            if (line.equals("ready")) {
                System.out.println("ready? " + Class.forName("dev.hotfork.Hotfork").getMethod("ready").invoke(null));
            }
            if (line.equals("work") || line.equals("many")) {
                Thread worker = new Thread(line.equals("work") ? Cat::work : Many::work, "worker");
                worker.setDaemon(true);
                worker.start();
            }
            System.out.println("heard " + line);
        }
        System.out.println("END");
    }

    /** The same few methods for ever. */
    private static void work() {
        byte[] bytes = new byte[4096];
        java.util.zip.CRC32 checksum = new java.util.zip.CRC32();
        java.util.Map<Integer, String> seen = new java.util.HashMap<>();
        for (int round = 0; ; round++) {
            java.util.Arrays.fill(bytes, (byte) round);
            checksum.update(bytes);
            seen.put(round % 1000, Long.toHexString(checksum.getValue() + seen.size()));
        }
    }
}
