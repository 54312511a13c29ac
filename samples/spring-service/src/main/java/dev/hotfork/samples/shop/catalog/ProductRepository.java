package dev.hotfork.samples.shop.catalog;

import org.springframework.data.domain.Page;
import org.springframework.data.domain.Pageable;
import org.springframework.data.jpa.repository.JpaRepository;
import org.springframework.data.jpa.repository.Modifying;
import org.springframework.data.jpa.repository.Query;

public interface ProductRepository extends JpaRepository<Product, Long> {
    @Query(value = """
            select new dev.hotfork.samples.shop.catalog.ProductSummary(
                p.id, p.sku, p.name, p.category, p.price, p.stock,
                count(distinct l.order), coalesce(sum(l.quantity), 0))
            from Product p left join OrderLine l on l.product = p
            where :category is null or p.category = :category
            group by p.id, p.sku, p.name, p.category, p.price, p.stock
            order by p.name, p.id
            """,
            countQuery = "select count(p) from Product p where :category is null or p.category = :category")
    Page<ProductSummary> summaries(Category category, Pageable page);

    boolean existsBySku(String sku);

    /** Takes pieces out of stock, or none if there are too few (returns 0); one statement: buyers cannot race. */
    @Modifying
    @Query("update Product p set p.stock = p.stock - :pieces where p.id = :id and p.stock >= :pieces")
    int takeFromStock(Long id, int pieces);

    @Modifying
    @Query("update Product p set p.stock = p.stock + :pieces where p.id = :id")
    void putIntoStock(Long id, int pieces);
}
