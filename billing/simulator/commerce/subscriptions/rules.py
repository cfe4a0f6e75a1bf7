"""The rules of Paddle on when a subscription may be touched. Each raises `RequestError`."""

from __future__ import annotations

from datetime import timedelta

from billing.simulator.errors import RequestError
from billing.simulator.schemas.subscriptions import Subscription
from billing.simulator.schemas.times import parse
from billing.simulator.state import State

RUNNING = {"active", "trialing"}
LOCKED_BEFORE_RENEWAL = timedelta(minutes=30)


def check_status(subscription: Subscription, *statuses: str) -> None:
    """Raise unless the subscription has one of these statuses."""
    status = subscription["status"]
    if status in statuses:
        return
    if status == "canceled":
        raise RequestError("subscription_is_canceled_action_invalid", "The subscription is canceled.")
    if statuses == ("paused",):
        raise RequestError("subscription_must_be_paused", "Only a paused subscription can be resumed.")
    if status == "paused":
        raise RequestError("subscription_cannot_be_paused", "The subscription is paused already.")
    raise RequestError("subscription_not_active", f"The subscription is {status}, not active.")


def check_changeable(subscription: Subscription, *, past_due: bool = False) -> None:
    """Raise for a canceled subscription, or for one past due unless that is fine."""
    if subscription["status"] == "canceled":
        raise RequestError("subscription_update_when_canceled", "The subscription is canceled and cannot be changed.")
    if subscription["status"] == "past_due" and not past_due:
        raise RequestError("subscription_update_when_past_due", "The subscription is past due and cannot be changed.")


def check_renewal_lock(state: State, subscription: Subscription) -> None:
    """Raise within half an hour of the renewal, when Paddle locks a subscription."""
    at = subscription["next_billed_at"]
    if at and subscription["status"] in RUNNING and parse(at) - state.now() < LOCKED_BEFORE_RENEWAL:
        raise RequestError("subscription_locked_renewal", "The subscription renews within 30 minutes and is locked.")


def check_unscheduled(subscription: Subscription) -> None:
    if subscription["scheduled_change"]:
        raise RequestError("subscription_locked_pending_changes", "A change is scheduled already; remove it first.")
