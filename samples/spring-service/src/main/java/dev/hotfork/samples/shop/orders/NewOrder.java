package dev.hotfork.samples.shop.orders;

import jakarta.validation.Valid;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Size;
import java.util.List;

public record NewOrder(@NotNull Long customerId, @NotNull @Size(min = 1, max = 20) List<@NotNull @Valid Line> lines) {
    public record Line(@NotNull Long productId, @Min(1) @Max(100) int quantity) {}
}
