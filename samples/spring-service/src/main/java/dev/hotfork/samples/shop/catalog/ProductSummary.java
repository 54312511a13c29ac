package dev.hotfork.samples.shop.catalog;

import java.math.BigDecimal;

/** A product as lists show it: with the number of orders it stands in and the pieces sold. */
public record ProductSummary(Long id, String sku, String name, Category category, BigDecimal price, int stock,
        long orders, long sold) {}
