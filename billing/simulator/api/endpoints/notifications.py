"""The feed of events, and who is notified of them."""

from __future__ import annotations

from billing.simulator.api import bodies
from billing.simulator.api.calls import ID, Call, Done, Route, field, paged
from billing.simulator.api.listing import Page
from billing.simulator.schemas import Entity
from billing.simulator.state import State
from billing.simulator.webhooks import deliveries


def list_events(call: Call, state: State) -> Page:
    return paged(call, state.rows("evt"), {"event_type": field("event_type")}, key="event_id")


def list_event_types(call: Call, state: State) -> list[Entity]:
    return [deliveries.event_type(name) for name in deliveries.EVENT_TYPES]


def list_notifications(call: Call, state: State) -> Page:
    filters = {"status": field("status"), "notification_setting_id": field("setting_id")}
    found = paged(call, state.rows("ntf"), filters)
    return Page([deliveries.notification(state, row) for row in found.rows], found.pagination)


def get_notification(call: Call, state: State, notification_id: str) -> Entity:
    return deliveries.notification(state, state.get("ntf", notification_id))


def replay_notification(call: Call, state: State, notification_id: str) -> Done:
    return Done({"notification_id": deliveries.replay(state, state.get("ntf", notification_id))["id"]}, 202)


def create_setting(call: Call, state: State) -> Done:
    return Done(deliveries.subscribe(state, bodies.given(bodies.read(bodies.NewSetting, call.body))))


def list_settings(call: Call, state: State) -> Page:
    return paged(call, state.rows("ntfset"), {"active": lambda row: str(row["active"]).lower()})


def get_setting(call: Call, state: State, setting_id: str) -> Entity:
    return state.get("ntfset", setting_id)


def change_setting(call: Call, state: State, setting_id: str) -> Entity:
    sent = bodies.given(bodies.read(bodies.SettingChange, call.body))
    return deliveries.change(state, state.get("ntfset", setting_id), sent)


def delete_setting(call: Call, state: State, setting_id: str) -> Done:
    state.get("ntfset", setting_id)
    del state.memory.tables["ntfset"][setting_id]
    return Done(None, 204)


ROUTES: list[Route] = [
    ("GET", "/events", list_events),
    ("GET", "/event-types", list_event_types),
    ("GET", "/notifications", list_notifications),
    ("GET", f"/notifications/{ID}", get_notification),
    ("POST", f"/notifications/{ID}/replay", replay_notification),
    ("POST", "/notification-settings", create_setting),
    ("GET", "/notification-settings", list_settings),
    ("GET", f"/notification-settings/{ID}", get_setting),
    ("PATCH", f"/notification-settings/{ID}", change_setting),
    ("DELETE", f"/notification-settings/{ID}", delete_setting),
]
