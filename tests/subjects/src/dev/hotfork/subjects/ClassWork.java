package dev.hotfork.subjects;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.io.Serializable;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.time.DayOfWeek;
import java.time.format.TextStyle;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.function.IntBinaryOperator;
import java.util.function.LongUnaryOperator;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * What needs classes: some of it has run before the capture and runs again, all of it in forms that are new after it:
 * loaded and generated classes, lambdas, method handles, reflection, proxies, serialization, regular expressions.
 */
@Traits
public final class ClassWork extends Subject {
    private final IntBinaryOperator lambda = (a, b) -> a * 10 + b;
    private LongUnaryOperator generated;
    private MethodHandle handle;
    private Method method;
    private Pattern pattern;

    /** Has every kind of field that the stream treats in its own way. */
    private record Letter(String text, int number, List<String> parts) implements Serializable {
    }

    /** First loaded in the check. */
    private static final class LoadedLate {
        static final List<Integer> SQUARES =
            IntStream.range(0, 10).map(i -> i * i).boxed().collect(Collectors.toList());
    }

    public static void main(String[] args) {
        new ClassWork().run(args);
    }

    @Override
    protected void setUp() throws Exception {
        generated = Generated.withConstant(1);
        MethodType type = MethodType.methodType(String.class, String.class);
        handle = MethodHandles.lookup().findVirtual(String.class, "concat", type);
        method = Integer.class.getMethod("parseInt", String.class);
        pattern = Pattern.compile("(\\w+)=(\\d+)");
        useOldOnes();
    }

    @Override
    protected void check() throws Exception {
        useOldOnes();
        useNewOnes();
    }

    private void useOldOnes() throws Exception {
        require(lambda.applyAsInt(4, 2) == 42, "a lambda gives %d", lambda.applyAsInt(4, 2));
        require(generated.applyAsLong(7) == Generated.expected(1, 7), "a generated class computes something else");
        // Reflection changes from native code to generated code after some calls.
        for (int i = 0; i < 30; i++) {
            require(method.invoke(null, "" + i).equals(i), "reflection gives something else than %d", i);
        }
        try {
            require("ab".equals((String) handle.invokeExact("a", "b")), "a method handle gives something else");
        } catch (Throwable e) {
            throw new AssertionError("a method handle throws " + e, e);
        }
        String replaced = pattern.matcher("a=1 b=22").replaceAll(match -> match.group(2) + match.group(1));
        require(replaced.equals("1a 22b"), "a regular expression gives %s", replaced);
    }

    private void useNewOnes() throws Exception {
        require(LoadedLate.SQUARES.get(9) == 81, "a new class gives %s", LoadedLate.SQUARES);
        for (int constant = 2; constant < 50; constant++) {
            long result = Generated.withConstant(constant).applyAsLong(7);
            require(result == Generated.expected(constant, 7), "a new generated class computes something else");
        }
        Function<String, String> composed = ((Function<String, String>) String::strip).andThen(s -> s + "!");
        require(composed.apply(" x ").equals("x!"), "a new lambda gives %s", composed.apply(" x "));

        Letter letter = new Letter("text", 7, List.of("a", "b"));
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
            out.writeObject(letter);
        }
        try (ObjectInputStream in = new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
            require(in.readObject().equals(letter), "serialization gives something else");
        }

        CharSequence proxy = (CharSequence) Proxy.newProxyInstance(getClass().getClassLoader(),
            new Class<?>[] {CharSequence.class}, (self, called, arguments) -> called.invoke("proxied", arguments));
        require(proxy.length() == "proxied".length(), "a proxy gives %d", proxy.length());

        require(Pattern.compile("(?i)(x+)+y").matcher("XXxY").matches(), "a new regular expression does not match");
        String formatted = String.format(Locale.ROOT, "%08.3f %s", 3.14159, Locale.GERMANY.getCountry());
        require(formatted.equals("0003.142 DE"), "formatted: %s", formatted);
        String day = DayOfWeek.MONDAY.getDisplayName(TextStyle.FULL, Locale.ENGLISH);
        require(day.equals("Monday"), "a resource bundle gives %s", day);
    }
}
