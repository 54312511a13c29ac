package dev.hotfork.subjects;

import java.io.IOException;
import java.lang.reflect.Modifier;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import java.util.jar.JarFile;
import java.util.stream.Collectors;

/** Lists the subjects of its own jar, one line each, with their traits; nobody keeps a list by hand. */
public final class Subjects {
    private Subjects() {
    }

    public static void main(String[] args) throws Exception {
        try (JarFile jar = new JarFile(jar().toFile())) {
            List<String> classes = jar.stream().map(entry -> entry.getName())
                .filter(name -> name.endsWith(".class") && !name.contains("$"))
                .map(name -> name.substring(0, name.length() - ".class".length()).replace('/', '.'))
                .sorted().collect(Collectors.toList());
            for (String name : classes) {
                Class<?> type = Class.forName(name, false, Subjects.class.getClassLoader());
                if (Subject.class.isAssignableFrom(type) && !Modifier.isAbstract(type.getModifiers())) {
                    System.out.println(line(type));
                }
            }
        }
    }

    private static String line(Class<?> type) {
        Traits traits = type.getAnnotation(Traits.class);
        if (traits == null) {
            throw new IllegalStateException(type.getName() + " lacks @Traits");
        }
        return String.join("\t", type.getSimpleName(),
            "jdk=" + (traits.virtualThreads() ? 21 : 17),
            "heap=" + traits.heap(),
            "port=" + (traits.port() ? "yes" : "no"),
            "instances=" + traits.instances().name().toLowerCase(),
            "options=" + traits.options(),
            "env=" + traits.env(),
            "harness=" + traits.harness(),
            "refused=" + traits.refused());
    }

    /** The jar that the subjects were loaded from. */
    static Path jar() throws IOException {
        return Path.of(URI.create(Subjects.class.getProtectionDomain().getCodeSource().getLocation().toString()));
    }
}
