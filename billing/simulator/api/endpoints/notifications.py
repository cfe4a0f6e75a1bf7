"""The feed of events, the settings that ask for them, and the notifications that were sent."""

from __future__ import annotations

from billing.simulator.api.listing import Page, field, fields, paged
from billing.simulator.api.routes import ID, Result, Route
from billing.simulator.bodies.body import read
from billing.simulator.bodies.notifications import NewSetting, SettingChange
from billing.simulator.http import Request
from billing.simulator.schemas.notifications import EventType, Notification, NotificationSetting
from billing.simulator.state import State
from billing.simulator.webhooks import deliveries, event_types, settings


def list_events(request: Request, state: State) -> Page:
    return paged(request, state.events(), fields("event_type"), key="event_id")


def list_event_types(request: Request, state: State) -> list[EventType]:
    return [event_types.described(name) for name in event_types.EVENT_TYPES]


def list_notifications(request: Request, state: State) -> Page:
    filters = {"status": field("status"), "notification_setting_id": field("setting_id")}
    return paged(request, state.deliveries.rows(), filters, show=lambda row: deliveries.notification(state, row))


def get_notification(request: Request, state: State, notification_id: str) -> Notification:
    return deliveries.notification(state, state.deliveries.get(notification_id))


def replay_notification(request: Request, state: State, notification_id: str) -> Result:
    replayed = deliveries.replay(state, state.deliveries.get(notification_id))
    return Result({"notification_id": replayed["id"]}, 202)


def create_setting(request: Request, state: State) -> Result:
    return Result(settings.create(state, read(NewSetting, request.body)))


def list_settings(request: Request, state: State) -> Page:
    return paged(request, state.settings.rows(), {"active": lambda row: str(row["active"]).lower()})


def get_setting(request: Request, state: State, setting_id: str) -> NotificationSetting:
    return state.settings.get(setting_id)


def change_setting(request: Request, state: State, setting_id: str) -> NotificationSetting:
    return settings.change(state.settings.get(setting_id), read(SettingChange, request.body))


def delete_setting(request: Request, state: State, setting_id: str) -> Result:
    state.settings.get(setting_id)
    state.settings.remove(setting_id)
    return Result(None, 204)


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
