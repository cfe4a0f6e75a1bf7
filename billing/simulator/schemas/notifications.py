"""Events, the settings that ask for them, and the deliveries of each; and the tokens of browsers."""

from __future__ import annotations

import uuid
from typing import Any, Literal, TypedDict


class EventType(TypedDict):
    name: str
    description: str
    group: str
    available_versions: list[int]


class Event(TypedDict):
    """`data` is the entity as it was when this happened to it."""

    event_id: str
    event_type: str
    occurred_at: str
    data: dict[str, Any]


class Webhook(Event):
    """The body that is sent."""

    notification_id: str


class NotificationSetting(TypedDict):
    id: str
    description: str
    type: Literal["url"]
    destination: str
    active: bool
    api_version: int
    include_sensitive_fields: bool
    traffic_source: Literal["platform", "simulation", "all"]
    subscribed_events: list[EventType]
    endpoint_secret_key: str


class Delivery(TypedDict):
    """One event on its way to one setting, as the simulator keeps it.

    `left` is how often it is still to be sent, `due` when it may be tried (Unix seconds of the real clock).
    """

    id: str
    event_id: str
    setting_id: str
    customer_id: str
    origin: Literal["event", "replay"]
    status: Literal["not_attempted", "needs_retry", "delivered", "failed"]
    left: int
    due: float
    answer: str
    times_attempted: int
    delivered_at: str | None
    replayed_at: str | None
    last_attempt_at: str | None
    retry_at: str | None


class Notification(TypedDict):
    """A delivery as the API shows it."""

    id: str
    type: str
    status: str
    payload: Webhook
    occurred_at: str
    delivered_at: str | None
    replayed_at: str | None
    origin: str
    last_attempt_at: str | None
    retry_at: str | None
    times_attempted: int
    notification_setting_id: str


class ClientToken(TypedDict):
    """A token with which Paddle's script on a page names the seller."""

    id: str
    name: str
    description: str | None
    token: str
    status: Literal["active", "revoked"]
    created_at: str
    updated_at: str
    revoked_at: str | None


def client_token(identifier: str, now: str, *, name: str, description: str | None) -> ClientToken:
    return {
        "id": identifier,
        "name": name,
        "description": description,
        "token": f"test_{uuid.uuid4().hex[:27]}",
        "status": "active",
        "created_at": now,
        "updated_at": now,
        "revoked_at": None,
    }
