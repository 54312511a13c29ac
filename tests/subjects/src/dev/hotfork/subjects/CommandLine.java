package dev.hotfork.subjects;

import java.nio.file.Files;
import java.nio.file.Path;

/** What ps and friends show of the process: the java command, the name, the working directory. */
@Traits
public final class CommandLine extends Subject {
    private String command;
    private String name;
    private Path directory;

    public static void main(String[] args) {
        new CommandLine().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        command = command();
        name = Proc.threadName(Proc.pid());
        directory = directory();
        require(command.contains(CommandLine.class.getName()), "the command line is %s", command);
    }

    @Override
    protected void check() throws Exception {
        require(command().equals(command), "the command line is %s", command());
        require(Proc.threadName(Proc.pid()).equals(name), "the name is %s", Proc.threadName(Proc.pid()));
        require(directory().equals(directory), "the working directory is %s", directory());
        require(Path.of("").toRealPath().equals(directory), "Java's working directory is %s", Path.of("").toRealPath());
    }

    private static String command() throws Exception {
        return Files.readString(Path.of("/proc/self/cmdline")).replace('\0', ' ');
    }

    private static Path directory() throws Exception {
        return Files.readSymbolicLink(Path.of("/proc/self/cwd"));
    }
}
