package dev.hotfork.samples.http;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import javax.crypto.Cipher;
import javax.crypto.Mac;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/** Hashes, signs and encrypts the order, decrypts it again and checks it. */
final class CryptoAnswer {
    private static final byte[] KEY = "a key fit for a sample, no other".getBytes(UTF_8);
    private static final int NONCE_BYTES = 12;
    private static final int TAG_BITS = 128;

    private CryptoAnswer() {}

    static String of(Order order) {
        try {
            byte[] plain = JsonAnswer.document(order).getBytes(UTF_8);
            Map<String, Object> answer = new LinkedHashMap<>();
            answer.put("number", order.number());
            answer.put("sha256", HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(plain)));
            answer.put("signature", Base64.getEncoder().encodeToString(sign(plain)));
            byte[] secret = cipher(Cipher.ENCRYPT_MODE, order).doFinal(plain);
            answer.put("sealed", Base64.getEncoder().encodeToString(Arrays.copyOf(secret, 48)));
            answer.put("opened", Arrays.equals(plain, cipher(Cipher.DECRYPT_MODE, order).doFinal(secret)));
            return JsonWriter.write(answer);
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("every JDK has these algorithms", e);
        }
    }

    private static byte[] sign(byte[] text) throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(KEY, "HmacSHA256"));
        return mac.doFinal(text);
    }

    /** The nonce is the order's number because answers must repeat; anything real needs a fresh one each time. */
    private static Cipher cipher(int mode, Order order) throws GeneralSecurityException {
        byte[] nonce = ByteBuffer.allocate(NONCE_BYTES).putInt(order.number()).array();
        Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
        cipher.init(mode, new SecretKeySpec(KEY, "AES"), new GCMParameterSpec(TAG_BITS, nonce));
        return cipher;
    }
}
