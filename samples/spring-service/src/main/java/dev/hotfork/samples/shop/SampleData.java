package dev.hotfork.samples.shop;

import dev.hotfork.samples.shop.catalog.Category;
import dev.hotfork.samples.shop.catalog.Product;
import dev.hotfork.samples.shop.catalog.ProductRepository;
import dev.hotfork.samples.shop.customers.Customer;
import dev.hotfork.samples.shop.customers.CustomerRepository;
import dev.hotfork.samples.shop.orders.Order;
import dev.hotfork.samples.shop.orders.OrderRepository;
import java.math.BigDecimal;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.springframework.beans.factory.SmartInitializingSingleton;
import org.springframework.stereotype.Component;
import org.springframework.transaction.support.TransactionOperations;

/** Fills the empty database with the same rows at every start, and before the server listens. */
@Component
class SampleData implements SmartInitializingSingleton {
    private static final List<String> MATERIALS = List.of("Oak", "Beech", "Steel", "Linen", "Glass", "Copper", "Wool",
            "Cork", "Leather", "Marble");
    private static final List<String> THINGS = List.of("Table", "Lamp", "Chair", "Shelf", "Bowl", "Clock", "Vase",
            "Blanket", "Basket", "Mirror", "Bench", "Tray");
    private static final List<String> FIRST_NAMES = List.of("Ada", "Alan", "Grace", "Edsger", "Barbara", "Tony");
    private static final List<String> LAST_NAMES = List.of("Archer", "Baker", "Cooper", "Draper", "Fisher");
    private static final Instant OPENING = Instant.parse("2026-01-05T09:00:00Z");
    private static final int STOCK = 1_000;
    private static final int ORDERS = 200;

    private final ProductRepository products;
    private final CustomerRepository customers;
    private final OrderRepository orders;
    private final TransactionOperations transaction;

    SampleData(ProductRepository products, CustomerRepository customers, OrderRepository orders,
            TransactionOperations transaction) {
        this.products = products;
        this.customers = customers;
        this.orders = orders;
        this.transaction = transaction;
    }

    @Override
    public void afterSingletonsInstantiated() {
        transaction.executeWithoutResult(status ->
                orders.saveAll(sampleOrders(products.saveAll(sampleProducts()), customers.saveAll(sampleCustomers()))));
    }

    private static List<Product> sampleProducts() {
        List<Product> made = new ArrayList<>();
        Category[] categories = Category.values();
        for (String material : MATERIALS) {
            for (String thing : THINGS) {
                int n = made.size();
                made.add(new Product(String.format(Locale.ROOT, "P%03d", n + 1), material + " " + thing,
                        categories[n % categories.length], BigDecimal.valueOf(995 + n * 731L % 20_000, 2), STOCK));
            }
        }
        return made;
    }

    private static List<Customer> sampleCustomers() {
        List<Customer> made = new ArrayList<>();
        for (String last : LAST_NAMES) {
            for (String first : FIRST_NAMES) {
                String email = (first + "." + last + "@example.org").toLowerCase(Locale.ROOT);
                made.add(new Customer(first + " " + last, email));
            }
        }
        return made;
    }

    private static List<Order> sampleOrders(List<Product> products, List<Customer> customers) {
        List<Order> made = new ArrayList<>();
        for (int n = 0; n < ORDERS; n++) {
            Order order = new Order(customers.get(n * 7 % customers.size()), OPENING.plus(Duration.ofHours(n * 5L)));
            for (int line = 0; line <= n % 4; line++) {
                order.add(products.get((n * 13 + line * 29) % products.size()), 1 + (n + line) % 5);
            }
            made.add(order);
        }
        return made;
    }
}
