package dev.hotfork.subjects;

import java.io.FileOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;

/** A log file, opened with O_APPEND: all processes write to it, and no line is lost or torn. */
@Traits
public final class AppendedFile extends Subject {
    private static final int LINES = 200;
    private static final String FIRST = "the first line";

    private Path file;
    private FileOutputStream log;

    public static void main(String[] args) {
        new AppendedFile().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        file = outsideTmp("log");
        log = new FileOutputStream(file.toFile(), true);
        write(FIRST);
    }

    @Override
    protected void check() throws Exception {
        String mine = "line of " + Proc.identity() + " number ";
        for (int i = 0; i < LINES; i++) {
            write(mine + i);
        }
        String text = Files.readString(file);
        // What follows the last end of line is somebody else's write, seen in part.
        List<String> lines = text.substring(0, text.lastIndexOf('\n')).lines().collect(Collectors.toList());
        require(lines.get(0).equals(FIRST), "the file begins with %s", lines.get(0));
        for (int i = 0; i < LINES; i++) {
            require(lines.contains(mine + i), "line %d is lost", i);
        }
        for (String line : lines) {
            require(line.equals(FIRST) || line.matches("line of \\d+@\\d+ number \\d+"), "a torn line: %s", line);
        }
    }

    private void write(String line) throws Exception {
        log.write((line + "\n").getBytes(StandardCharsets.US_ASCII));
    }
}
