package dev.hotfork.subjects;

import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Native libraries that were extracted to the temporary directory and loaded from there, as many Java libraries do: one
 * file is deleted at once, one when the original ends. Nothing is called in them; their code is compared.
 */
@Traits(options = "--enable-native-access=ALL-UNNAMED")
public final class TempNativeLibrary extends Subject {
    private static final String LIBRARY = "libverify.so";

    private final List<Code> codes = new ArrayList<>();

    private record Code(long address, byte[] bytes) {
    }

    public static void main(String[] args) {
        new TempNativeLibrary().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        Files.delete(load());
        load().toFile().deleteOnExit();
        require(codes.size() == 2, "%d pieces of code are mapped, not 2", codes.size());
    }

    @Override
    protected void check() throws Exception {
        try (RandomAccessFile memory = new RandomAccessFile("/proc/self/mem", "r")) {
            for (Code code : codes) {
                byte[] now = new byte[code.bytes.length];
                memory.seek(code.address);
                memory.readFully(now);
                int differs = Arrays.mismatch(now, code.bytes);
                require(differs < 0, "another byte at %x", code.address + differs);
            }
        }
    }

    private Path load() throws Exception {
        Path copy = Files.createTempFile("library", ".so");
        Files.copy(Path.of(System.getProperty("java.home"), "lib", LIBRARY), copy,
            StandardCopyOption.REPLACE_EXISTING);
        System.load(copy.toString());
        byte[] file = Files.readAllBytes(copy);
        for (String line : Files.readAllLines(Path.of("/proc/self/maps"))) {
            if (line.endsWith(copy.toString()) && line.contains(" r-xp ")) {
                codes.add(code(line, file));
            }
        }
        return copy;
    }

    private static Code code(String mapsLine, byte[] file) {
        String[] fields = mapsLine.split(" +");
        String[] range = fields[0].split("-");
        long start = Long.parseUnsignedLong(range[0], 16);
        int length = (int) (Long.parseUnsignedLong(range[1], 16) - start);
        int offset = Integer.parseInt(fields[2], 16);
        return new Code(start, Arrays.copyOfRange(file, offset, Math.min(offset + length, file.length)));
    }
}
