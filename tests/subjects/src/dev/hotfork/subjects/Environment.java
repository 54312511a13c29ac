package dev.hotfork.subjects;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The environment is the restorer's, wherever one looks: System.getenv, a child process, /proc. The file env-PID in the
 * trigger directory tells an instance which variables it must see, as KEY=VALUE lines.
 */
@Traits(env = "HOTFORK_ONLY_ORIGINAL=1 HOTFORK_TEST_ENV=original HOTFORK_LOG=warn", harness = "env")
public final class Environment extends Subject {
    private static final String ONLY_ORIGINAL = "HOTFORK_ONLY_ORIGINAL";
    private static final String TEST = "HOTFORK_TEST_ENV";
    /** By which `hotfork run` tells its agent that it is the one. */
    private static final String OF_RUN = "HOTFORK_RUN_PID";

    private Map<String, String> before;
    /** The application's own copy, which shares objects with System.getenv. */
    private Map<String, String> held;

    public static void main(String[] args) {
        new Environment().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        before = new TreeMap<>(System.getenv());
        held = new ProcessBuilder().environment();
        require(before.containsKey(ONLY_ORIGINAL) && before.containsKey(TEST),
            "start it with %s and %s in the environment", ONLY_ORIGINAL, TEST);
        allAgree();
    }

    @Override
    protected void check() throws Exception {
        Map<String, String> now = allAgree();
        require(held.equals(before), "a copy of the original's environment has changed: %s", held);
        if (original()) {
            require(now.equals(before), "the environment of the original has changed: %s", now);
            return;
        }
        require(!now.containsKey(ONLY_ORIGINAL), "%s of the original is still there", ONLY_ORIGINAL);
        Path expected = trigger("env-");
        require(Files.exists(expected), "there is no %s", expected);
        for (String line : Files.readAllLines(expected)) {
            String key = line.substring(0, line.indexOf('='));
            String value = line.substring(line.indexOf('=') + 1);
            require(value.equals(now.get(key)), "%s is %s, not %s", key, now.get(key), value);
        }
    }

    /** The environment, after every place that tells it has told the same. */
    private static Map<String, String> allAgree() throws Exception {
        Map<String, String> java = new TreeMap<>(System.getenv());
        java.forEach((key, value) ->
            require(value.equals(System.getenv(key)), "System.getenv has two values of %s", key));

        Process env = new ProcessBuilder("env", "-0").start();
        same("a child", parse(new String(env.getInputStream().readAllBytes())), java);
        require(env.waitFor() == 0, "env ended with %d", env.exitValue());
        Map<String, String> proc = parse(Files.readString(Path.of("/proc/self/environ")));
        // What exec(2) was told stays there; it is taken out of libc's environment before Java reads that.
        proc.remove(OF_RUN);
        same("/proc", proc, java);
        return java;
    }

    private static Map<String, String> parse(String zeroTerminated) {
        Map<String, String> variables = new TreeMap<>();
        for (String variable : zeroTerminated.split("\0")) {
            int equals = variable.indexOf('=');
            if (equals > 0) {
                variables.put(variable.substring(0, equals), variable.substring(equals + 1));
            }
        }
        return variables;
    }

    private static void same(String where, Map<String, String> found, Map<String, String> java) {
        Set<String> keys = new TreeSet<>(found.keySet());
        keys.addAll(java.keySet());
        for (String key : keys) {
            require(Objects.equals(found.get(key), java.get(key)),
                "%s is %s for %s, %s for System.getenv", key, found.get(key), where, java.get(key));
        }
    }
}
