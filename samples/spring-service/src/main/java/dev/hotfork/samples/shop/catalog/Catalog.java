package dev.hotfork.samples.shop.catalog;

import dev.hotfork.samples.shop.web.ConflictException;
import dev.hotfork.samples.shop.web.NotFoundException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.data.domain.Page;
import org.springframework.data.domain.PageRequest;
import org.springframework.stereotype.Service;
import org.springframework.transaction.annotation.Transactional;

@Service
@Transactional(readOnly = true)
public class Catalog {
    private static final Logger LOG = LoggerFactory.getLogger(Catalog.class);
    private static final int PAGE_SIZE = 20;

    private final ProductRepository products;

    Catalog(ProductRepository products) {
        this.products = products;
    }

    /** A page of the products in a category, or of all if it is null. */
    public ProductPage page(Category category, int page) {
        Page<ProductSummary> found = products.summaries(category, PageRequest.of(page, PAGE_SIZE));
        return new ProductPage(found.getContent(), page, found.getTotalPages(), found.getTotalElements());
    }

    public Product product(long id) {
        return products.findById(id).orElseThrow(() -> new NotFoundException("product " + id));
    }

    @Transactional
    public Product add(NewProduct wanted) {
        if (products.existsBySku(wanted.sku())) {
            throw new ConflictException("there is a product " + wanted.sku() + " already");
        }
        Product product = products.save(new Product(
                wanted.sku(), wanted.name(), wanted.category(), wanted.price(), wanted.stock()));
        LOG.info("Product {} added: {}", product.getSku(), product.getName());
        return product;
    }

    @Transactional
    public Product restock(long id, int pieces) {
        products.putIntoStock(id, pieces);
        Product product = product(id);
        LOG.info("Product {} restocked to {}", product.getSku(), product.getStock());
        return product;
    }
}
