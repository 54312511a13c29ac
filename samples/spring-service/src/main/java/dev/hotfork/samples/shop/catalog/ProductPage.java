package dev.hotfork.samples.shop.catalog;

import java.util.List;

/** One page of the product list; pages count from 0. */
public record ProductPage(List<ProductSummary> products, int page, int pages, long total) {}
