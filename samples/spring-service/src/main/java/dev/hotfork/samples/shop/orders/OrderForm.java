package dev.hotfork.samples.shop.orders;

import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotNull;
import java.util.List;

/** The form on a product's page: one product for one customer. */
public record OrderForm(@NotNull Long customerId, @NotNull Long productId, @Min(1) @Max(100) int quantity) {
    NewOrder toOrder() {
        return new NewOrder(customerId, List.of(new NewOrder.Line(productId, quantity)));
    }
}
