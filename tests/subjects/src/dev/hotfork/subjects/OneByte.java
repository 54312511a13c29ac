package dev.hotfork.subjects;

import java.util.Arrays;

/** An array of one byte over and over, of which an image holds a part, and what an instance writes into it. */
@Traits(heap = 128)
public final class OneByte extends Subject {
    private static final byte BYTE = 0x5a;

    private final byte[] array = new byte[32 << 20];

    public static void main(String[] args) {
        new OneByte().run(args);
    }

    @Override
    protected void setUp() {
        Arrays.fill(array, BYTE);
    }

    @Override
    protected void check() {
        expect(BYTE);
        // What lies on the same page of the image must not change with it.
        for (int at = 0; at < array.length; at += array.length / 16) {
            array[at] = 1;
            for (int other = 0; other < array.length; other += 4096) {
                byte wanted = other % (array.length / 16) == 0 && other <= at ? 1 : BYTE;
                require(array[other] == wanted, "byte %d is %x after %d was written", other, array[other], at);
            }
        }
        Arrays.fill(array, (byte) 0x3c);
        expect((byte) 0x3c);
    }

    private void expect(byte wanted) {
        for (int at = 0; at < array.length; at++) {
            require(array[at] == wanted, "byte %d is %x", at, array[at]);
        }
    }
}
