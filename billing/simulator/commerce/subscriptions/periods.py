"""The billing periods of a subscription, and the dates on its items that follow them."""

from __future__ import annotations

from datetime import datetime

from dateutil.relativedelta import relativedelta

from billing.simulator.schemas.subscriptions import Action, Status, Subscription
from billing.simulator.schemas.times import Duration, Period, iso, parse, period
from billing.simulator.state import State


def span(duration: Duration, times: int = 1) -> relativedelta:
    """Returns a billing cycle or trial as something that can be added to a moment."""
    count = duration["frequency"] * times
    match duration["interval"]:
        case "day":
            return relativedelta(days=count)
        case "week":
            return relativedelta(weeks=count)
        case "month":
            return relativedelta(months=count)
        case "year":
            return relativedelta(years=count)


def start_period(state: State, subscription: Subscription, starts: datetime) -> None:
    ends = _end(state, subscription, starts)
    subscription["current_billing_period"] = period(starts, ends)
    subscription["next_billed_at"] = iso(ends)
    for item in subscription["items"]:
        item |= {"previously_billed_at": iso(starts), "next_billed_at": iso(ends)}


def running_period(subscription: Subscription) -> Period:
    """Returns the current period of a subscription that has one: it is not paused and not canceled."""
    current = subscription["current_billing_period"]
    assert current, f"{subscription['id']} has no period."
    return current


def bill_next(subscription: Subscription, at: str | None) -> None:
    subscription["next_billed_at"] = at
    for item in subscription["items"]:
        item["next_billed_at"] = at


def set_status(subscription: Subscription, status: Status) -> None:
    subscription["status"] = status
    for item in subscription["items"]:
        item["status"] = "trialing" if status == "trialing" else "active"


def schedule(subscription: Subscription, action: Action, at: str, *, resume_at: str | None = None) -> None:
    """Schedule a change; nothing is billed before a pause ends."""
    subscription["scheduled_change"] = {"action": action, "effective_at": at, "resume_at": resume_at}
    bill_next(subscription, resume_at)


def undo_scheduled_change(subscription: Subscription) -> None:
    """Remove the scheduled change; the renewal date is back."""
    subscription["scheduled_change"] = None
    current = subscription["current_billing_period"]
    bill_next(subscription, current["ends_at"] if current else None)


def _end(state: State, subscription: Subscription, starts: datetime) -> datetime:
    """Returns the next whole cycle from the anchor: 31 January, 28 February, 31 March."""
    anchor = parse(state.backstage(subscription)["anchor"])
    count = 1
    # Adding to the end before it would lose the day: 31 January, 28 February, 28 March.
    while (ends := anchor + span(subscription["billing_cycle"], count)) <= starts:
        count += 1
    return ends
