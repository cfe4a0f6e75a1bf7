"""The past of demo accounts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from tests.billing.simulator.shop import ApiError, Shop

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def june() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def tell(shop: Shop, **changes: Any) -> Any:
    wished: dict[str, Any] = {
        "customer": {"email": "pro@example.com", "name": "Pro", "custom_data": {"account_id": "a"}},
        "price_id": shop.price["pro"],
        "started_at": "2026-03-10T08:00:00Z",
        "custom_data": {"account_id": "a", "kind": "plan"},
        "purchases": [
            {"at": "2026-05-20T10:00:00Z", "price_id": shop.price["credit"], "quantity": 40, "custom_data": {"n": "2"}},
            {
                "at": "2026-03-20T10:00:00Z",
                "price_id": shop.price["credit"],
                "quantity": 100,
                "custom_data": {"n": "1"},
            },
        ],
    }
    return shop.post("/simulator/history", **(wished | changes))


def test_a_past_has_every_renewal_and_purchase_completed(shop: Shop) -> None:  # P7
    told = tell(shop)
    completed = [body["data"] for body in told["events"] if body["event_type"] == "transaction.completed"]
    assert [(row["billed_at"][:10], row["details"]["totals"]["grand_total"]) for row in completed] == [
        ("2026-03-10", "4680"),
        ("2026-03-20", "1200"),
        ("2026-04-10", "4680"),
        ("2026-05-10", "4680"),
        ("2026-05-20", "480"),
        ("2026-06-10", "4680"),
    ]
    subscription = shop.get(f"/subscriptions/{told['subscription_id']}")
    assert (subscription["status"], subscription["started_at"][:10]) == ("active", "2026-03-10")
    assert subscription["current_billing_period"]["ends_at"][:10] == "2026-07-10"
    assert subscription["custom_data"] == {"account_id": "a", "kind": "plan"}
    assert [row["custom_data"] for row in completed if not row["subscription_id"]] == [{"n": "1"}, {"n": "2"}]


def test_its_events_are_complete_in_order_and_in_the_feed(shop: Shop) -> None:
    told = tell(shop)["events"]
    moments = [body["occurred_at"] for body in told]
    assert moments == sorted(set(moments))
    assert all(list(body) == ["event_id", "event_type", "occurred_at", "notification_id", "data"] for body in told)
    feed = shop.get("/events?order_by=id[ASC]&per_page=200")
    assert [row["event_id"] for row in feed][-len(told) :] == [body["event_id"] for body in told]
    assert told[0]["event_type"] == "customer.created"
    assert told[0]["data"]["created_at"][:10] == "2026-03-10"


def test_nobody_is_notified_of_the_past_but_of_what_comes_after(shop: Shop) -> None:
    shop.world.subscribe("http://localhost:9/")
    told = tell(shop)
    assert shop.get("/notifications") == []
    shop.world.renew(told["subscription_id"])
    assert shop.get("/notifications")[0]["payload"]["occurred_at"][:10] == "2026-06-15"


def test_a_past_goes_on_with_the_clock(shop: Shop) -> None:
    subscription = tell(shop)["subscription_id"]
    shop.world.move(timedelta(days=26))
    assert shop.get(f"/subscriptions/{subscription}")["current_billing_period"]["ends_at"][:10] == "2026-08-10"


def test_a_past_without_a_plan_has_its_purchases(shop: Shop) -> None:
    told = tell(shop, price_id=None)
    assert told["subscription_id"] is None
    assert len([body for body in told["events"] if body["event_type"] == "transaction.completed"]) == 2


def test_a_trial_that_began_long_ago_was_converted(shop: Shop) -> None:
    told = tell(shop, price_id=shop.price["trial"], purchases=[])
    types = [body["event_type"] for body in told["events"]]
    assert types.index("subscription.trialing") < types.index("subscription.activated")


def test_the_future_is_no_past(shop: Shop) -> None:
    late = [{"at": "2026-07-01T00:00:00Z", "price_id": shop.price["credit"], "quantity": 10}]
    early = [{"at": "2026-01-01T00:00:00Z", "price_id": shop.price["credit"], "quantity": 10}]
    for changes in ({"started_at": "2026-07-01T00:00:00Z"}, {"purchases": late}, {"purchases": early}):
        with pytest.raises(ApiError) as refused:
            tell(shop, **changes)
        assert refused.value.errors[0]["field"] == "started_at"
    assert shop.world.state.customers.rows() == []


def test_an_email_has_one_past(shop: Shop) -> None:
    tell(shop)
    with pytest.raises(ApiError) as refused:
        tell(shop)
    assert refused.value.code == "customer_already_exists"


def test_a_past_with_an_unknown_price_makes_nothing(shop: Shop) -> None:
    mark = shop.mark()
    with pytest.raises(ApiError) as refused:
        tell(shop, purchases=[{"at": "2026-05-20T10:00:00Z", "price_id": shop.price["credit"], "quantity": 1000}])
    assert refused.value.code == "transaction_item_quantity_out_of_range"
    assert shop.world.state.customers.rows() == []
    assert shop.since(mark) == []
