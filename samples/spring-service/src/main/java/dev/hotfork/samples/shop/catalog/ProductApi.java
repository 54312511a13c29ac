package dev.hotfork.samples.shop.catalog;

import jakarta.validation.Valid;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.PositiveOrZero;
import java.net.URI;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

@RestController
@RequestMapping("/api/products")
class ProductApi {
    record Restocking(@Min(1) @Max(10_000) int pieces) {}

    private final Catalog catalog;

    ProductApi(Catalog catalog) {
        this.catalog = catalog;
    }

    @GetMapping
    ProductPage list(@RequestParam(required = false) Category category,
            @RequestParam(defaultValue = "0") @PositiveOrZero int page) {
        return catalog.page(category, page);
    }

    @GetMapping("/{id}")
    Product one(@PathVariable long id) {
        return catalog.product(id);
    }

    @PostMapping
    ResponseEntity<Product> add(@RequestBody @Valid NewProduct wanted) {
        Product product = catalog.add(wanted);
        return ResponseEntity.created(URI.create("/api/products/" + product.getId())).body(product);
    }

    @PostMapping("/{id}/restock")
    Product restock(@PathVariable long id, @RequestBody @Valid Restocking restocking) {
        return catalog.restock(id, restocking.pieces());
    }
}
