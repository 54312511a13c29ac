package dev.hotfork.samples.shop.orders;

import jakarta.persistence.LockModeType;
import java.util.List;
import java.util.Optional;
import org.springframework.data.domain.Limit;
import org.springframework.data.jpa.repository.JpaRepository;
import org.springframework.data.jpa.repository.Lock;
import org.springframework.data.jpa.repository.Query;

public interface OrderRepository extends JpaRepository<Order, Long> {
    @Query("""
            select new dev.hotfork.samples.shop.orders.OrderSummary(
                o.id, c.name, o.placed, count(l), sum(l.quantity * l.price))
            from Order o join o.customer c join o.lines l
            group by o.id, c.name, o.placed
            order by o.placed desc, o.id desc
            """)
    List<OrderSummary> latest(Limit limit);

    @Query("""
            select o from Order o join fetch o.customer join fetch o.lines l join fetch l.product
            where o.id = :id
            """)
    Optional<Order> findWhole(Long id);

    @Lock(LockModeType.PESSIMISTIC_WRITE)
    Optional<Order> findLockedById(Long id);
}
