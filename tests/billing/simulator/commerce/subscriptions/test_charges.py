"""One-time charges to the card of a subscription."""

from __future__ import annotations

import pytest

from tests.billing.simulator.shop import ApiError, Shop, state_of


def test_a_charge_to_the_card_on_file_is_paid_at_once(shop: Shop, running: str) -> None:
    items = [{"price_id": shop.price["credit"], "quantity": 100}]
    shown = shop.post(f"/subscriptions/{running}/charge/preview", effective_from="immediately", items=items)
    assert shown["immediate_transaction"]["details"]["totals"]["grand_total"] == "1200"
    told = shop.post(f"/subscriptions/{running}/charge", effective_from="immediately", items=items)
    assert told["id"] == running
    paid = shop.last("transaction.completed")["data"]
    assert (paid["origin"], paid["details"]["totals"]["grand_total"]) == ("subscription_charge", "1200")


def test_a_charge_for_the_next_period_comes_with_it(shop: Shop, running: str) -> None:
    items = [{"price_id": shop.price["credit"], "quantity": 100}]
    shop.post(f"/subscriptions/{running}/charge", effective_from="next_billing_period", items=items)
    coming = shop.get(f"/subscriptions/{running}?include=next_transaction")["next_transaction"]
    assert coming["details"]["totals"]["grand_total"] == "3000"
    shop.world.renew(running)
    assert shop.last("transaction.completed")["data"]["details"]["totals"]["grand_total"] == "3000"
    shop.world.renew(running)
    assert shop.last("transaction.completed")["data"]["details"]["totals"]["grand_total"] == "1800"


def test_a_declined_or_tiny_charge_changes_nothing(shop: Shop, running: str) -> None:
    path = f"/subscriptions/{running}/charge"
    mark = shop.mark()
    with pytest.raises(ApiError) as refused:
        shop.post(path, effective_from="immediately", items=[{"price_id": shop.price["credit"], "quantity": 5}])
    assert refused.value.code == "subscription_update_transaction_balance_less_than_charge_limit"
    shop.world.fail_next_payment(running)
    with pytest.raises(ApiError) as refused:
        shop.post(path, effective_from="immediately", items=[{"price_id": shop.price["credit"], "quantity": 50}])
    assert refused.value.code == "subscription_payment_declined"
    assert shop.since(mark) == []
    assert state_of(shop, running)["status"] == "active"
