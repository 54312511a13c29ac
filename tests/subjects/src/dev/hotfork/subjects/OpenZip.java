package dev.hotfork.subjects;

import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/** Zip files open, with entries that are read in part: one in the temporary directory, and the jar of the subjects. */
@Traits
public final class OpenZip extends Subject {
    private static final int ENTRIES = 50;

    private final Map<String, byte[]> contents = new LinkedHashMap<>();
    private final Map<String, InputStream> begun = new LinkedHashMap<>();
    private ZipFile zip;
    private ZipFile jar;
    private String jarEntry;
    private long jarCrc;

    public static void main(String[] args) {
        new OpenZip().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        Path file = Files.createTempFile("open", ".zip");
        file.toFile().deleteOnExit();
        write(file);
        zip = new ZipFile(file.toFile());
        for (String name : contents.keySet()) {
            InputStream entry = zip.getInputStream(zip.getEntry(name));
            byte[] head = entry.readNBytes(1000);
            compare(name, head, 0);
            begun.put(name, entry);
        }
        jar = new ZipFile(Subjects.jar().toFile());
        jarEntry = Subject.class.getName().replace('.', '/') + ".class";
        jarCrc = crcOfJarEntry();
    }

    @Override
    protected void check() throws Exception {
        for (Map.Entry<String, InputStream> entry : begun.entrySet()) {
            byte[] rest = entry.getValue().readAllBytes();
            require(rest.length == contents.get(entry.getKey()).length - 1000, "%s is cut short", entry.getKey());
            compare(entry.getKey(), rest, 1000);
            compare(entry.getKey(), zip.getInputStream(zip.getEntry(entry.getKey())).readAllBytes(), 0);
        }
        require(crcOfJarEntry() == jarCrc, "the jar has another content");
    }

    private void write(Path file) throws Exception {
        Random random = new Random(ENTRIES);
        try (OutputStream out = Files.newOutputStream(file); ZipOutputStream entries = new ZipOutputStream(out)) {
            for (int i = 0; i < ENTRIES; i++) {
                byte[] content = new byte[20_000];
                for (int at = 0; at < content.length; at++) {
                    content[at] = (byte) random.nextInt(16);
                }
                contents.put("entry-" + i, content);
                entries.putNextEntry(new ZipEntry("entry-" + i));
                entries.write(content);
                entries.closeEntry();
            }
        }
    }

    private void compare(String name, byte[] bytes, int from) {
        byte[] content = contents.get(name);
        for (int i = 0; i < bytes.length; i++) {
            require(bytes[i] == content[from + i], "%s has another byte at %d", name, from + i);
        }
    }

    private long crcOfJarEntry() throws Exception {
        CRC32 crc = new CRC32();
        crc.update(jar.getInputStream(jar.getEntry(jarEntry)).readAllBytes());
        require(crc.getValue() == jar.getEntry(jarEntry).getCrc(), "%s does not have its checksum", jarEntry);
        return crc.getValue();
    }
}
