package dev.hotfork.samples.http;

/** All the other answers about one order in one: the kind of request that a benchmark should send. */
final class MixedAnswer {
    private MixedAnswer() {}

    static String of(Order order) {
        return "{\"json\":" + JsonAnswer.of(order)
                + ",\"crypto\":" + CryptoAnswer.of(order)
                + ",\"text\":" + TextAnswer.of(order)
                + ",\"statistics\":" + StatisticsAnswer.of(order) + "}\n";
    }
}
