"""Transactions in the API."""

from __future__ import annotations

import pytest

from tests.billing.simulator.shop import LINK, ApiError, Shop


def test_a_transaction_leads_to_the_payment_link(shop: Shop) -> None:
    made = shop.order("credit", 137, customer_id=shop.customer(), custom_data={"purchase_id": "p1"})
    assert made["status"] == "draft"
    assert made["checkout"]["url"] == f"{LINK}?_ptxn={made['id']}"
    assert made["custom_data"] == {"purchase_id": "p1"}


@pytest.mark.parametrize("quantity", [-1, 0, 301])
def test_a_quantity_outside_the_prices_limits_is_refused(shop: Shop, quantity: int) -> None:
    with pytest.raises(ApiError) as refused:
        shop.order("credit", quantity)
    assert refused.value.code == "transaction_item_quantity_out_of_range"
    assert shop.world.state.transactions.rows() == []


@pytest.mark.parametrize("quantity", [7, 300])
def test_what_reaches_the_minimum_charge_is_sold(shop: Shop, quantity: int) -> None:
    assert shop.order("credit", quantity)["status"] == "draft"


def test_less_than_the_minimum_charge_is_refused(shop: Shop) -> None:
    with pytest.raises(ApiError) as refused:
        shop.order("credit", 6)
    assert refused.value.code == "transaction_balance_less_than_charge_limit"
    assert shop.world.state.transactions.rows() == []


def test_transactions_are_listed_by_customer_subscription_and_status(shop: Shop) -> None:
    alice, charlie = shop.customer("alice@example.com"), shop.customer("charlie@example.com")
    mine = shop.subscribe(customer_id=alice)
    waiting = shop.order("credit", 10, customer_id=alice)["id"]
    shop.order("credit", 10, customer_id=charlie)
    assert {row["customer_id"] for row in shop.get(f"/transactions?customer_id={alice}")} == {alice}
    assert len(shop.get(f"/transactions?customer_id={alice}")) == 2
    assert [row["subscription_id"] for row in shop.get(f"/transactions?subscription_id={mine}")] == [mine]
    assert [row["id"] for row in shop.get(f"/transactions?customer_id={alice}&status=draft,ready")] == [waiting]


def test_only_an_unpaid_transaction_is_canceled(shop: Shop) -> None:
    waiting, paid = shop.order("credit", 10), shop.buy("credit", 10)
    assert shop.patch(f"/transactions/{waiting['id']}", status="canceled")["status"] == "canceled"
    assert shop.events(waiting["id"])[-1] == "transaction.canceled"
    for transaction in (waiting, paid):
        with pytest.raises(ApiError) as refused:
            shop.patch(f"/transactions/{transaction['id']}", status="canceled")
        assert refused.value.code == "transaction_immutable"


def test_a_preview_of_a_transaction_makes_none(shop: Shop) -> None:
    items = [{"price_id": shop.price["credit"], "quantity": 100}]
    shown = shop.post("/transactions/preview", items=items, address={"country_code": "US", "postal_code": "10021"})
    assert shown["details"]["totals"]["grand_total"] == "1200"
    assert shop.world.state.transactions.rows() == []


def test_another_customers_address_is_refused(shop: Shop) -> None:
    paid = shop.buy("credit", 10, customer_id=shop.customer("alice@example.com"))
    charlie = shop.customer("charlie@example.com")
    with pytest.raises(ApiError) as refused:
        shop.order("credit", 10, customer_id=charlie, address_id=paid["address_id"])
    assert refused.value.code == "not_found"


def test_a_known_address_makes_a_transaction_ready_and_taxed(shop: Shop) -> None:
    paid = shop.buy("credit", 10, customer_id=shop.customer())
    made = shop.order("credit", 100, customer_id=paid["customer_id"], address_id=paid["address_id"])
    assert made["status"] == "ready"
    assert made["details"]["totals"]["grand_total"] == "1200"
