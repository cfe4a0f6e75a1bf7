"""Products and prices in the API."""

from __future__ import annotations

import pytest

from tests.billing.simulator.shop import MONTH, ApiError, Shop


def test_a_product_shows_its_prices_and_a_price_its_product(shop: Shop) -> None:
    product = shop.get(f"/products/{shop.product['pro']}?include=prices")
    assert [price["id"] for price in product["prices"]] == [shop.price["pro"]]
    price = shop.get(f"/prices/{shop.price['pro']}?include=product")
    assert price["product"]["id"] == shop.product["pro"]
    first, *_ = shop.get("/prices?include=product&order_by=id[ASC]")
    assert first["product"]["name"] == "Sidekick starter"


def test_a_price_is_changed_in_place(shop: Shop) -> None:
    changed = shop.patch(
        f"/prices/{shop.price['credit']}",
        unit_price={"amount": "12", "currency_code": "USD"},
        quantity={"minimum": 6, "maximum": 300},
    )
    assert changed["unit_price"]["amount"] == "12"
    assert changed["id"] == shop.price["credit"]
    assert shop.last("price.updated")["data"]["quantity"] == {"minimum": 6, "maximum": 300}


def test_an_archived_price_is_hidden_and_not_sold(shop: Shop) -> None:
    shop.patch(f"/prices/{shop.price['credit']}", status="archived")
    assert shop.price["credit"] not in {row["id"] for row in shop.get("/prices")}
    assert shop.price["credit"] in {row["id"] for row in shop.get("/prices?status=active,archived")}
    with pytest.raises(ApiError) as refused:
        shop.order("credit", 10)
    assert refused.value.code == "transaction_price_not_found"


def test_a_trial_needs_a_billing_cycle(shop: Shop) -> None:
    with pytest.raises(ApiError) as refused:
        shop.sell("odd", 100, trial_period=MONTH)
    assert refused.value.code == "price_trial_period_requires_billing_cycle"
