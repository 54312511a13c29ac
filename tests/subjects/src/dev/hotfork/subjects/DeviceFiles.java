package dev.hotfork.subjects;

import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.util.HexFormat;

/** Devices that a program keeps open. What /dev/urandom gives must differ from process to process. */
@Traits(harness = "random")
public final class DeviceFiles extends Subject {
    private FileInputStream random;
    private FileInputStream zero;
    private FileOutputStream sink;

    public static void main(String[] args) {
        new DeviceFiles().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        random = new FileInputStream("/dev/urandom");
        zero = new FileInputStream("/dev/zero");
        sink = new FileOutputStream("/dev/null");
        require(random.readNBytes(16).length == 16, "no random bytes");
    }

    @Override
    protected void check() throws Exception {
        say("RANDOM urandom " + HexFormat.of().formatHex(random.readNBytes(16)));
        for (byte b : zero.readNBytes(5000)) {
            require(b == 0, "/dev/zero gave %d", b);
        }
        sink.write(new byte[5000]);
    }
}
