package dev.hotfork.samples.shop;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Collections;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.webmvc.test.autoconfigure.AutoConfigureMockMvc;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.test.web.servlet.assertj.MockMvcTester;
import org.springframework.test.web.servlet.assertj.MvcTestResult;

/** The whole shop but for the network; each test leaves the database as it found it. */
@SpringBootTest
@AutoConfigureMockMvc
class ShopTest {
    private static final String TWO_BOWLS = """
            {"customerId": 3, "lines": [{"productId": 5, "quantity": 2}]}
            """;

    @Autowired
    private MockMvcTester http;

    @Test
    void listsProductsByName() {
        assertThat(http.get().uri("/products")).hasStatusOk()
                .bodyText().contains("120 products", "Beech Basket").doesNotContain("Wool Vase");
        assertThat(http.get().uri("/products?page=5")).hasStatusOk().bodyText().contains("Wool Vase");
        assertThat(http.get().uri("/products?category=")).hasStatusOk().bodyText().contains("120 products");
        assertThat(http.get().uri("/products?category=KITCHEN")).hasStatusOk().bodyText().contains("24 products");
    }

    @Test
    void placesAndCancelsAnOrder() {
        MvcTestResult placed = post("/api/orders", TWO_BOWLS);
        assertThat(placed).hasStatus(HttpStatus.CREATED).bodyJson().extractingPath("$.total").isEqualTo(78.38);
        String order = placed.getResponse().getHeader("Location");
        assertBowlsInStock(998);
        assertThat(http.get().uri(order)).hasStatusOk().bodyText().contains("Grace Archer", "Oak Bowl");

        assertThat(http.delete().uri(order)).hasStatus(HttpStatus.NO_CONTENT);
        assertBowlsInStock(1000);
        assertThat(http.get().uri(order)).hasStatus(HttpStatus.NOT_FOUND);
    }

    @Test
    void sellsNoMoreThanItHas() {
        String hundredBowls = "{\"productId\": 5, \"quantity\": 100}";
        String elevenHundredBowls = String.join(",", Collections.nCopies(11, hundredBowls));
        assertThat(post("/api/orders", "{\"customerId\": 3, \"lines\": [" + elevenHundredBowls + "]}"))
                .hasStatus(HttpStatus.CONFLICT).bodyText().contains("too few pieces of P005");
        assertBowlsInStock(1000);
    }

    @Test
    void refusesInvalidRequests() {
        assertThat(post("/api/orders", TWO_BOWLS.replace("2}", "0}"))).hasStatus(HttpStatus.BAD_REQUEST)
                .bodyJson().extractingPath("$.fields['lines[0].quantity']")
                .isEqualTo("must be greater than or equal to 1");
        assertThat(http.get().uri("/products?page=-1")).hasStatus(HttpStatus.BAD_REQUEST);
    }

    private MvcTestResult post(String uri, String json) {
        return http.post().uri(uri).contentType(MediaType.APPLICATION_JSON).content(json).exchange();
    }

    private void assertBowlsInStock(int pieces) {
        assertThat(http.get().uri("/api/products/5")).bodyJson().extractingPath("$.stock").isEqualTo(pieces);
    }
}
