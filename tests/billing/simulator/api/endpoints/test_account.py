"""Client tokens in the API."""

from __future__ import annotations

from tests.billing.simulator.shop import Shop


def test_client_tokens_are_made_and_listed(shop: Shop) -> None:
    made = shop.post("/client-tokens", name="Sidekick", description="checkout")
    assert made["token"].startswith("test_")
    assert [row["id"] for row in shop.get("/client-tokens?status=active")] == [made["id"]]
