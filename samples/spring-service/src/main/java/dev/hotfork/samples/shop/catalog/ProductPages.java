package dev.hotfork.samples.shop.catalog;

import dev.hotfork.samples.shop.customers.CustomerRepository;
import dev.hotfork.samples.shop.orders.OrderForm;
import jakarta.validation.constraints.PositiveOrZero;
import org.springframework.data.domain.Sort;
import org.springframework.stereotype.Controller;
import org.springframework.ui.Model;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestParam;

@Controller
class ProductPages {
    private final Catalog catalog;
    private final CustomerRepository customers;

    ProductPages(Catalog catalog, CustomerRepository customers) {
        this.catalog = catalog;
        this.customers = customers;
    }

    @GetMapping("/")
    String home() {
        return "redirect:/products";
    }

    @GetMapping("/products")
    String list(@RequestParam(required = false) Category category,
            @RequestParam(defaultValue = "0") @PositiveOrZero int page, Model model) {
        model.addAttribute("category", category);
        model.addAttribute("categories", Category.values());
        model.addAttribute("list", catalog.page(category, page));
        return "products";
    }

    @GetMapping("/products/{id}")
    String one(@PathVariable long id, Model model) {
        model.addAttribute("product", catalog.product(id));
        model.addAttribute("customers", customers.findAll(Sort.by("name")));
        model.addAttribute("form", new OrderForm(null, id, 1));
        return "product";
    }
}
