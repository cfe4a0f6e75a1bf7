"""Which webhooks are to be sent to whom: Paddle's notifications and the settings that ask for them.

A delivery is kept as a row of its own, with how often it is still to be sent (`left`) and when it may be tried
(`due`, Unix seconds of the real clock); `courier.py` sends it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from billing.simulator import schemas
from billing.simulator.errors import Refused, invalid
from billing.simulator.schemas import Entity, iso

if TYPE_CHECKING:
    from billing.simulator.state import State

NAMES = {
    "address": ("created", "imported", "updated"),
    "adjustment": ("created", "updated"),
    "api_key": ("created", "expired", "expiring", "revoked", "updated"),
    "api_key_exposure": ("created",),
    "business": ("created", "imported", "updated"),
    "client_token": ("created", "revoked", "updated"),
    "customer": ("created", "imported", "updated"),
    "discount": ("created", "imported", "updated"),
    "discount_group": ("created", "updated"),
    "payment_method": ("deleted", "saved"),
    "payout": ("created", "paid"),
    "price": ("created", "imported", "updated"),
    "product": ("created", "imported", "updated"),
    "report": ("created", "updated"),
    "subscription": (
        "activated", "canceled", "created", "imported", "past_due", "paused", "resumed", "trialing", "updated",
    ),
    "transaction": (
        "billed", "canceled", "completed", "created", "paid", "past_due", "payment_failed", "ready", "revised",
        "updated",
    ),
}  # fmt: skip
EVENT_TYPES = [f"{group}.{name}" for group, names in NAMES.items() for name in names]
LOCAL = {"localhost", "127.0.0.1"}


def event_type(name: str) -> Entity:
    group, _, happened = name.partition(".")
    words = f"Occurs when this happens to a {group.replace('_', ' ')}: {happened.replace('_', ' ')}."
    return {"name": name, "description": words, "group": group.replace("_", " ").title(), "available_versions": [1]}


def subscribe(state: State, given: Entity) -> Entity:
    """A new notification setting. Raises `Refused` for a destination off this machine or an unknown event type."""
    setting = schemas.notification_setting(state.new_id("ntfset"), given, secret=state.secret)
    _fill(setting, given)
    return state.add(setting)


def change(state: State, setting: Entity, given: Entity) -> Entity:
    changed = setting | {name: value for name, value in given.items() if name != "subscribed_events"}
    _fill(changed, given)
    setting |= changed
    return setting


def queue(state: State, event: Entity) -> None:
    """One delivery to each active setting that asks for events of this type."""
    for setting in state.rows("ntfset"):
        if setting["active"] and any(wanted["name"] == event["event_type"] for wanted in setting["subscribed_events"]):
            _queue(state, event, setting["id"], "event")


def replay(state: State, row: Entity) -> Entity:
    """The same event under a new notification id. Raises `Refused` for what is a replay itself."""
    if row["origin"] != "event":
        detail = "Only notifications of the origin event can be replayed."
        raise Refused("notification_replay_invalid_origin_type", detail)
    event = state.get("evt", row["event_id"])
    row["replayed_at"] = iso(state.now())
    return _queue(state, event, row["setting_id"], "replay")


def body(state: State, row: Entity) -> bytes:
    """The bytes that are signed and sent."""
    event = state.get("evt", row["event_id"])
    return json.dumps(
        {name: event[name] for name in ("event_id", "event_type", "occurred_at")}
        | {"notification_id": row["id"], "data": event["data"]},
        separators=(",", ":"),
    ).encode()


def notification(state: State, row: Entity) -> Entity:
    """A delivery as Paddle's API shows it."""
    event = state.get("evt", row["event_id"])
    return {
        "id": row["id"],
        "type": event["event_type"],
        "status": row["status"],
        "payload": json.loads(body(state, row)),
        "occurred_at": event["occurred_at"],
        "delivered_at": row["delivered_at"],
        "replayed_at": row["replayed_at"],
        "origin": row["origin"],
        "last_attempt_at": row["last_attempt_at"],
        "retry_at": row["retry_at"],
        "times_attempted": row["times_attempted"],
        "notification_setting_id": row["setting_id"],
    }


def _queue(state: State, event: Entity, setting_id: str, origin: str) -> Entity:
    data = event["data"]
    return state.add(
        {
            "id": state.new_id("ntf"),
            "event_id": event["event_id"],
            "setting_id": setting_id,
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


def _fill(setting: Entity, given: Entity) -> None:
    where = urlsplit(str(given.get("destination", setting["destination"])))
    if where.scheme != "http" or where.hostname not in LOCAL:
        raise invalid("destination", "The simulator delivers to http:// on this machine only.")
    names = given.get("subscribed_events")
    if names is not None:
        if wrong := sorted(set(names) - set(EVENT_TYPES)):
            raise invalid("subscribed_events", f"{wrong[0]} is no event type.")
        setting["subscribed_events"] = [event_type(name) for name in names]
