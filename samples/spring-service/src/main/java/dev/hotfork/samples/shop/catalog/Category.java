package dev.hotfork.samples.shop.catalog;

public enum Category {
    FURNITURE,
    LIGHTING,
    KITCHEN,
    TEXTILES,
    DECORATION
}
