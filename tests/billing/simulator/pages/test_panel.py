"""The panel and everything on it."""

from __future__ import annotations

from billing.simulator.server import Server
from tests.billing.simulator.shop import Shop, fetch


def panel(served: Server) -> str:
    status, body, _ = fetch(f"{served.url}/")
    assert status == 200
    return body.decode()


def test_an_empty_panel_says_so(served: Server) -> None:
    page = panel(served)
    assert "None yet" in page
    assert "Nobody subscribed" in page
    assert "<script" not in page


def test_the_panel_shows_everything(shop: Shop, served: Server) -> None:  # P7
    shop.world.subscribe("http://127.0.0.1:9/webhooks")
    paid = shop.buy("credit", 137, customer_id=shop.customer("alice@example.com", name="Alice"))
    subscription = shop.subscribe(customer_id=paid["customer_id"])
    shop.world.refund(paid["id"], approve=False)
    shop.world.faults.add("slow", path="/prices", times=3)
    page = panel(served)
    for words in (
        "alice@example.com",
        subscription,
        paid["id"],
        "137 × Sidekick credit",
        "$16.44",
        "pending approval",
        "transaction.completed",
        "http://127.0.0.1:9/webhooks",
        "3 × The answer takes its time (any method /prices)",
    ):
        assert words in page
