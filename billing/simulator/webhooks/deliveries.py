"""Deliveries: one event on its way to one notification setting. `courier.py` sends them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from billing.simulator.errors import RequestError
from billing.simulator.schemas.notifications import Delivery, Event, Notification, Webhook
from billing.simulator.schemas.times import iso

if TYPE_CHECKING:
    from billing.simulator.state import State


def queue(state: State, event: Event) -> None:
    """Queue one delivery to each active setting that asks for events of this type."""
    for setting in state.settings.rows():
        if setting["active"] and any(wanted["name"] == event["event_type"] for wanted in setting["subscribed_events"]):
            _queue(state, event, setting["id"], "event")


def replay(state: State, delivery: Delivery) -> Delivery:
    """Queue the same event under a new notification id. Raises `RequestError` for a replay."""
    if delivery["origin"] != "event":
        detail = "Only notifications of the origin event can be replayed."
        raise RequestError("notification_replay_invalid_origin_type", detail)
    event = state.event(delivery["event_id"])
    delivery["replayed_at"] = iso(state.now())
    return _queue(state, event, delivery["setting_id"], "replay")


def webhook(state: State, delivery: Delivery) -> Webhook:
    """Returns the body to be sent."""
    event = state.event(delivery["event_id"])
    return {
        "event_id": event["event_id"],
        "event_type": event["event_type"],
        "occurred_at": event["occurred_at"],
        "notification_id": delivery["id"],
        "data": event["data"],
    }


def body(state: State, delivery: Delivery) -> bytes:
    """Returns the bytes that are signed and sent."""
    return json.dumps(webhook(state, delivery), separators=(",", ":")).encode()


def notification(state: State, delivery: Delivery) -> Notification:
    event = state.event(delivery["event_id"])
    return {
        "id": delivery["id"],
        "type": event["event_type"],
        "status": delivery["status"],
        "payload": webhook(state, delivery),
        "occurred_at": event["occurred_at"],
        "delivered_at": delivery["delivered_at"],
        "replayed_at": delivery["replayed_at"],
        "origin": delivery["origin"],
        "last_attempt_at": delivery["last_attempt_at"],
        "retry_at": delivery["retry_at"],
        "times_attempted": delivery["times_attempted"],
        "notification_setting_id": delivery["setting_id"],
    }


def _queue(state: State, event: Event, setting_id: str, origin: Literal["event", "replay"]) -> Delivery:
    data = event["data"]
    return state.deliveries.add(
        {
            "id": state.new_id("ntf"),
            "event_id": event["event_id"],
            "setting_id": setting_id,
            # The courier keeps the order of each customer. An entity without one is in an order of its own.
            "customer_id": data.get("customer_id") or data["id"],
            "origin": origin,
            "status": "not_attempted",
            "left": 2 if state.memory.modes["duplicate"] else 1,
            "due": 0.0,
            "answer": "",
            "times_attempted": 0,
            "delivered_at": None,
            "replayed_at": None,
            "last_attempt_at": None,
            "retry_at": None,
        }
    )
