"""Notification settings: the addresses that ask for events, and for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from billing.simulator.bodies.body import given
from billing.simulator.bodies.notifications import NewSetting, SettingChange
from billing.simulator.errors import invalid_field
from billing.simulator.schemas.notifications import EventType, NotificationSetting
from billing.simulator.webhooks.event_types import EVENT_TYPES, described

if TYPE_CHECKING:
    from billing.simulator.state import State

LOCAL = {"localhost", "127.0.0.1"}


def create(state: State, body: NewSetting) -> NotificationSetting:
    """Raises `RequestError` for a destination off this machine or an unknown event type."""
    _check_destination(body.destination)
    return state.settings.add(
        {
            "id": state.new_id("ntfset"),
            "description": body.description,
            "type": body.type,
            "destination": body.destination,
            "active": body.active,
            "api_version": body.api_version,
            "include_sensitive_fields": body.include_sensitive_fields,
            "traffic_source": body.traffic_source,
            "subscribed_events": _event_types(body.subscribed_events),
            "endpoint_secret_key": state.secret,
        }
    )


def change(setting: NotificationSetting, body: SettingChange) -> NotificationSetting:
    """Apply the fields that were sent, all of them or none. Raises `RequestError` as `create` does."""
    fields = given(body)
    if "destination" in fields:
        _check_destination(body.destination)
    if "subscribed_events" in fields:
        asked = fields.pop("subscribed_events")
        if asked is not None:
            fields["subscribed_events"] = _event_types(asked)
    setting |= fields
    return setting


def _check_destination(destination: str) -> None:
    where = urlsplit(destination)
    if where.scheme != "http" or where.hostname not in LOCAL:
        raise invalid_field("destination", "The simulator delivers to http:// on this machine only.")


def _event_types(names: Sequence[str]) -> list[EventType]:
    if wrong := sorted(set(names) - set(EVENT_TYPES)):
        raise invalid_field("subscribed_events", f"{wrong[0]} is no event type.")
    return [described(name) for name in names]
