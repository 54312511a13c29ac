package dev.hotfork.samples.shop.orders;

import jakarta.validation.Valid;
import org.springframework.stereotype.Controller;
import org.springframework.ui.Model;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestMapping;

@Controller
@RequestMapping("/orders")
class OrderPages {
    private final OrderDesk desk;

    OrderPages(OrderDesk desk) {
        this.desk = desk;
    }

    @GetMapping
    String latest(Model model) {
        model.addAttribute("orders", desk.latest());
        return "orders";
    }

    @GetMapping("/{id}")
    String one(@PathVariable long id, Model model) {
        model.addAttribute("order", desk.order(id));
        return "order";
    }

    @PostMapping
    String place(@Valid OrderForm form) {
        return "redirect:/orders/" + desk.place(form.toOrder()).id();
    }

    @PostMapping("/{id}/cancel")
    String cancel(@PathVariable long id) {
        desk.cancel(id);
        return "redirect:/orders";
    }
}
