"""Pausing and resuming: at once, or at a later moment."""

from __future__ import annotations

from datetime import datetime

from billing.simulator.commerce.subscriptions import collection, periods, rules
from billing.simulator.errors import invalid_field
from billing.simulator.schemas.subscriptions import Subscription
from billing.simulator.schemas.times import iso, parse
from billing.simulator.state import State


def pause(state: State, subscription: Subscription, effective_from: str | None, resume_at: datetime | None) -> None:
    """Pause at the end of the period unless told `immediately`, for good or until `resume_at`."""
    rules.check_status(subscription, *rules.RUNNING)
    rules.check_renewal_lock(state, subscription)
    back = iso(resume_at) if resume_at else None
    if effective_from == "immediately":
        _check_resume(state.now(), resume_at)
        # `begin` reads the date to resume at from the scheduled change.
        subscription["scheduled_change"] = {"action": "pause", "effective_at": iso(state.now()), "resume_at": back}
        begin(state, subscription)
        return
    ends = periods.running_period(subscription)["ends_at"]
    _check_resume(parse(ends), resume_at)
    rules.check_unscheduled(subscription)
    periods.schedule(subscription, "pause", ends, resume_at=back)
    state.emit("subscription.updated", subscription)


def resume(state: State, subscription: Subscription, when: datetime | None, on_resume: str | None) -> None:
    """Resume now, or at a later moment. `continue_existing_billing_period` charges nothing while that period lasts."""
    rules.check_status(subscription, "paused")
    if when is None or when <= state.now():
        end(state, subscription, on_resume=on_resume)
        return
    periods.schedule(subscription, "resume", iso(when))
    periods.bill_next(subscription, iso(when))
    state.emit("subscription.updated", subscription)


def begin(state: State, subscription: Subscription) -> None:
    """Begin the pause that is scheduled."""
    change, now = subscription["scheduled_change"], iso(state.moment())
    back = change and change["resume_at"]
    state.backstage(subscription)["paused"] = subscription["current_billing_period"]
    periods.set_status(subscription, "paused")
    subscription |= {
        "paused_at": now,
        "current_billing_period": None,
        "scheduled_change": {"action": "resume", "effective_at": back, "resume_at": None} if back else None,
    }
    periods.bill_next(subscription, back)
    state.emit("subscription.paused", subscription)


def end(state: State, subscription: Subscription, *, on_resume: str | None = None) -> None:
    """End the pause now."""
    behind, now = state.backstage(subscription), state.moment()
    cut = behind["paused"]
    subscription |= {"scheduled_change": None, "paused_at": None}
    periods.set_status(subscription, "active")
    behind["paused"] = None
    if on_resume == "continue_existing_billing_period" and cut and parse(cut["ends_at"]) > now:
        subscription["current_billing_period"] = cut
        periods.bill_next(subscription, cut["ends_at"])
        state.emit("subscription.resumed", subscription)
        return
    # The pause moved the billing date: periods are counted from the resumption.
    behind["anchor"] = iso(now)
    periods.start_period(state, subscription, now)
    state.emit("subscription.resumed", subscription)
    collection.bill_period(state, subscription)


def _check_resume(after: datetime, resume_at: datetime | None) -> None:
    if resume_at and resume_at <= after:
        raise invalid_field("resume_at", "must be after the pause takes effect")
