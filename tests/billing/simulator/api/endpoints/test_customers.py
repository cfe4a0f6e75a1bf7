"""Customers and their portal sessions in the API."""

from __future__ import annotations

import pytest

from tests.billing.simulator.shop import ApiError, Shop


def test_an_email_belongs_to_one_customer_whom_the_refusal_names(shop: Shop) -> None:
    first = shop.customer("alice@example.com")
    with pytest.raises(ApiError) as refused:
        shop.customer("Alice@example.com")
    assert (refused.value.status, refused.value.code) == (409, "customer_already_exists")
    assert first in refused.value.detail
    other = shop.customer("charlie@example.com")
    with pytest.raises(ApiError) as refused:
        shop.patch(f"/customers/{other}", email="alice@example.com")
    assert refused.value.code == "customer_already_exists"


def test_customers_are_found_by_exact_email_and_hidden_when_archived(shop: Shop) -> None:
    alice = shop.customer("alice@example.com", custom_data={"account_id": "a"})
    shop.customer("alice@example.com.au")
    assert [row["id"] for row in shop.get("/customers?email=alice@example.com")] == [alice]
    shop.patch(f"/customers/{alice}", status="archived")
    assert shop.get("/customers?email=alice@example.com") == []
    [found] = shop.get("/customers?email=alice@example.com&status=active,archived")
    assert found["custom_data"] == {"account_id": "a"}


def test_a_portal_session_is_for_own_subscriptions_only(shop: Shop) -> None:
    alice, charlie = shop.customer("alice@example.com"), shop.customer("charlie@example.com")
    theirs = shop.subscribe(customer_id=charlie)
    mine = shop.subscribe(customer_id=alice)
    urls = shop.post(f"/customers/{alice}/portal-sessions", subscription_ids=[mine])["urls"]
    assert urls["general"]["overview"].startswith(f"http://localhost:8010/portal/{alice}?")
    assert urls["subscriptions"][0]["id"] == mine
    with pytest.raises(ApiError) as refused:
        shop.post(f"/customers/{alice}/portal-sessions", subscription_ids=[theirs])
    assert refused.value.code == "not_found"


def test_a_customer_has_an_auth_token(shop: Shop) -> None:
    token = shop.post(f"/customers/{shop.customer()}/auth-token")
    assert token["customer_auth_token"].startswith("pca_")
    assert token["expires_at"].endswith("Z")
