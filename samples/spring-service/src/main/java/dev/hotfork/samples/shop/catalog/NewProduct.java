package dev.hotfork.samples.shop.catalog;

import jakarta.validation.constraints.DecimalMax;
import jakarta.validation.constraints.Digits;
import jakarta.validation.constraints.NotBlank;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Pattern;
import jakarta.validation.constraints.Positive;
import jakarta.validation.constraints.PositiveOrZero;
import jakarta.validation.constraints.Size;
import java.math.BigDecimal;

public record NewProduct(
        @NotNull @Pattern(regexp = "[A-Z0-9]{2,12}") String sku,
        @NotBlank @Size(max = 80) String name,
        @NotNull Category category,
        @NotNull @Positive @DecimalMax("99999.99") @Digits(integer = 5, fraction = 2) BigDecimal price,
        @PositiveOrZero int stock) {}
