package dev.hotfork.samples.shop.customers;

import dev.hotfork.samples.shop.web.NotFoundException;
import java.util.List;
import org.springframework.data.domain.Sort;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;

@RestController
@RequestMapping("/api/customers")
class CustomerApi {
    private final CustomerRepository customers;

    CustomerApi(CustomerRepository customers) {
        this.customers = customers;
    }

    @GetMapping
    List<Customer> all() {
        return customers.findAll(Sort.by("id"));
    }

    @GetMapping("/{id}")
    Customer one(@PathVariable long id) {
        return customers.findById(id).orElseThrow(() -> new NotFoundException("customer " + id));
    }
}
