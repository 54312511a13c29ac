package dev.hotfork.subjects;

import java.util.concurrent.TimeUnit;

/** A running child, which belongs to one process only. It ends by itself when its parent does. */
@Traits(refused = "(?i)child.*\\b[0-9]+\\b")
public final class RefusedChild extends Subject {
    private Process child;

    public static void main(String[] args) {
        new RefusedChild().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        child = new ProcessBuilder("cat").start();
        say("NAMES " + child.pid());
    }

    @Override
    protected void check() throws Exception {
        require(child.isAlive(), "the child has ended");
        child.getOutputStream().write('x');
        child.getOutputStream().flush();
        int answer = child.getInputStream().read();
        require(answer == 'x', "the child answers %d", answer);
        child.getOutputStream().close();
        require(child.waitFor(20, TimeUnit.SECONDS), "the child does not end");
        require(child.exitValue() == 0, "the child ended with %d", child.exitValue());
    }
}
