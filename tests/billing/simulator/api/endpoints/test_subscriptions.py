"""Lists of subscriptions in the API."""

from __future__ import annotations

from tests.billing.simulator.shop import Shop, state_of


def test_subscriptions_are_listed_by_customer_status_and_price(shop: Shop, running: str) -> None:
    other = shop.subscribe("pro", customer_id=shop.customer("charlie@example.com"))
    shop.world.pause(other)
    customer = state_of(shop, running)["customer_id"]
    assert [row["id"] for row in shop.get(f"/subscriptions?customer_id={customer}")] == [running]
    assert [row["id"] for row in shop.get("/subscriptions?status=paused,canceled")] == [other]
    assert [row["id"] for row in shop.get(f"/subscriptions?price_id={shop.price['pro']}")] == [other]
    assert {row["id"] for row in shop.get("/subscriptions")} == {running, other}
    assert set(shop.get("/subscriptions")[0]["management_urls"]) == {"update_payment_method", "cancel"}
