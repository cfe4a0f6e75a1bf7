"""The next bill of a subscription."""

from __future__ import annotations

from tests.billing.simulator.shop import Shop


def test_an_ended_subscription_has_no_next_transaction(shop: Shop, running: str) -> None:
    shop.post(f"/subscriptions/{running}/cancel")
    path = f"/subscriptions/{running}?include=next_transaction,recurring_transaction_details"
    told = shop.get(path)
    assert told["next_transaction"] is None
    assert told["recurring_transaction_details"]["totals"]["grand_total"] == "1800"
