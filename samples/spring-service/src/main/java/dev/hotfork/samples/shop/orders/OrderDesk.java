package dev.hotfork.samples.shop.orders;

import dev.hotfork.samples.shop.catalog.Product;
import dev.hotfork.samples.shop.catalog.ProductRepository;
import dev.hotfork.samples.shop.customers.CustomerRepository;
import dev.hotfork.samples.shop.web.ConflictException;
import dev.hotfork.samples.shop.web.NotFoundException;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Comparator;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.data.domain.Limit;
import org.springframework.stereotype.Service;
import org.springframework.transaction.annotation.Transactional;

/** Places, shows and cancels orders. Products are updated in the order of their ids: two buyers cannot deadlock. */
@Service
@Transactional(readOnly = true)
public class OrderDesk {
    private static final Logger LOG = LoggerFactory.getLogger(OrderDesk.class);
    private static final Limit LATEST = Limit.of(20);

    private final OrderRepository orders;
    private final ProductRepository products;
    private final CustomerRepository customers;

    OrderDesk(OrderRepository orders, ProductRepository products, CustomerRepository customers) {
        this.orders = orders;
        this.products = products;
        this.customers = customers;
    }

    public List<OrderSummary> latest() {
        return orders.latest(LATEST);
    }

    public OrderView order(long id) {
        return orders.findWhole(id).map(OrderView::of).orElseThrow(() -> notFound(id));
    }

    @Transactional
    public OrderView place(NewOrder wanted) {
        Order order = new Order(
                customers.findById(wanted.customerId())
                        .orElseThrow(() -> new NotFoundException("customer " + wanted.customerId())),
                Instant.now().truncatedTo(ChronoUnit.SECONDS));
        wanted.lines().stream()
                .sorted(Comparator.comparing(NewOrder.Line::productId))
                .forEach(line -> order.add(take(line), line.quantity()));
        OrderView placed = OrderView.of(orders.save(order));
        LOG.info("Order {} placed by {}: {}", placed.id(), placed.customer(), placed.total());
        return placed;
    }

    @Transactional
    public void cancel(long id) {
        Order order = orders.findLockedById(id).orElseThrow(() -> notFound(id));
        order.getLines().stream()
                .sorted(Comparator.comparing(line -> line.getProduct().getId()))
                .forEach(line -> products.putIntoStock(line.getProduct().getId(), line.getQuantity()));
        orders.delete(order);
        LOG.info("Order {} cancelled", id);
    }

    private Product take(NewOrder.Line line) {
        Product product = products.findById(line.productId())
                .orElseThrow(() -> new NotFoundException("product " + line.productId()));
        if (products.takeFromStock(product.getId(), line.quantity()) == 0) {
            throw new ConflictException("too few pieces of " + product.getSku() + " in stock");
        }
        return product;
    }

    private static NotFoundException notFound(long id) {
        return new NotFoundException("order " + id);
    }
}
