package dev.hotfork.subjects;

import java.io.File;

/**
 * A file that the original deletes at its exit, and no instance may. Whoever runs it looks at the paths: KEEP PATH is
 * to be there until the original has ended, DROP PATH no longer than the process that says so.
 */
@Traits(harness = "files")
public final class DeleteOnExit extends Subject {
    private File file;

    public static void main(String[] args) {
        new DeleteOnExit().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        file = File.createTempFile("keep", null);
        file.deleteOnExit();
        say("KEEP " + file);
    }

    @Override
    protected void check() throws Exception {
        require(!original() || file.exists(), "somebody else deleted %s", file);
        File own = File.createTempFile("drop", null);
        own.deleteOnExit();
        say("DROP " + own);
    }
}
