package dev.hotfork.samples.shop.orders;

import jakarta.validation.Valid;
import java.net.URI;
import java.util.List;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;

@RestController
@RequestMapping("/api/orders")
class OrderApi {
    private final OrderDesk desk;

    OrderApi(OrderDesk desk) {
        this.desk = desk;
    }

    @GetMapping
    List<OrderSummary> latest() {
        return desk.latest();
    }

    @GetMapping("/{id}")
    OrderView one(@PathVariable long id) {
        return desk.order(id);
    }

    @PostMapping
    ResponseEntity<OrderView> place(@RequestBody @Valid NewOrder wanted) {
        OrderView order = desk.place(wanted);
        return ResponseEntity.created(URI.create("/api/orders/" + order.id())).body(order);
    }

    @DeleteMapping("/{id}")
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void cancel(@PathVariable long id) {
        desk.cancel(id);
    }
}
