package dev.hotfork.samples.shop.orders;

import java.math.BigDecimal;
import java.time.Instant;
import java.util.List;

/** A whole order as pages and JSON show it. */
public record OrderView(Long id, String customer, Instant placed, List<Line> lines, BigDecimal total) {
    public record Line(Long productId, String product, int quantity, BigDecimal price, BigDecimal total) {}

    static OrderView of(Order order) {
        List<Line> lines = order.getLines().stream()
                .map(line -> new Line(line.getProduct().getId(), line.getProduct().getName(),
                        line.getQuantity(), line.getPrice(), line.total()))
                .toList();
        BigDecimal total = lines.stream().map(Line::total).reduce(BigDecimal.ZERO, BigDecimal::add);
        return new OrderView(order.getId(), order.getCustomer().getName(), order.getPlaced(), lines, total);
    }
}
