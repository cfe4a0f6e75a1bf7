"""The feed and notification settings in the API."""

from __future__ import annotations

import pytest

from tests.billing.simulator.shop import ApiError, Shop


def test_the_feed_is_read_on_from_a_cursor(shop: Shop) -> None:
    shop.buy("credit", 10)
    every = shop.get("/events?order_by=id[ASC]&per_page=200")
    assert set(every[0]) == {"event_id", "event_type", "occurred_at", "data"}
    cursor = every[-3]["event_id"]
    after = shop.get(f"/events?order_by=id[ASC]&after={cursor}")
    assert [row["event_id"] for row in after] == [row["event_id"] for row in every[-2:]]
    assert {row["event_type"] for row in shop.get("/events?event_type=transaction.paid")} == {"transaction.paid"}


def test_a_notification_setting_is_made_changed_and_deleted(shop: Shop) -> None:
    wanted = {"description": "d", "destination": "http://localhost:8000/w", "subscribed_events": ["customer.created"]}
    made = shop.post("/notification-settings", **wanted, traffic_source="platform")
    assert made["endpoint_secret_key"] == "pdl_ntfset_of_these_tests"
    assert [event["name"] for event in made["subscribed_events"]] == ["customer.created"]
    path = f"/notification-settings/{made['id']}"
    changed = shop.patch(path, subscribed_events=["transaction.paid"], active=False)
    assert [event["name"] for event in changed["subscribed_events"]] == ["transaction.paid"]
    assert shop.get("/notification-settings")[0]["active"] is False
    assert shop.call("DELETE", path) is None
    assert shop.get("/notification-settings") == []


@pytest.mark.parametrize("destination", ["https://example.com/w", "http://example.com/w", "ftp://localhost/w", "x"])
def test_webhooks_stay_on_this_machine(shop: Shop, destination: str) -> None:
    wanted = {"description": "d", "destination": destination, "subscribed_events": ["customer.created"]}
    with pytest.raises(ApiError) as refused:
        shop.post("/notification-settings", **wanted)
    assert refused.value.errors[0]["field"] == "destination"


def test_an_unknown_event_type_is_refused(shop: Shop) -> None:
    wanted = {"description": "d", "destination": "http://localhost/w", "subscribed_events": ["customer.exploded"]}
    with pytest.raises(ApiError) as refused:
        shop.post("/notification-settings", **wanted)
    assert refused.value.errors[0]["field"] == "subscribed_events"
    assert "transaction.completed" in {row["name"] for row in shop.get("/event-types")}
