package dev.hotfork.samples.shop.orders;

import java.math.BigDecimal;
import java.time.Instant;

/** An order as lists show it. */
public record OrderSummary(Long id, String customer, Instant placed, long lines, BigDecimal total) {}
