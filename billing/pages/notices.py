"""The notices above the Billing page: what is overdue, ends, or pauses, and what to do about it (B1, B7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from billing.pages.plan_card import day
from billing.subscriptions import SubscriptionState
from credits.models import Plan


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to know, and the one thing to do about it: `view` is posted to, or only opened where `link`."""

    tone: str
    title: str
    words: str
    view: str
    label: str
    link: bool = False


def for_state(state: SubscriptionState, zone: ZoneInfo, now: datetime) -> list[Notice]:
    # A pause or an unpaid bill may have suspended the plan that is subscribed to.
    paid = state.price.plan if state.price else state.plan
    notices = [_overdue(state, paid, zone, now), _ending(state, zone), _pausing(state, paid, zone)]
    return [notice for notice in notices if notice]


def _overdue(state: SubscriptionState, paid: Plan, zone: ZoneInfo, now: datetime) -> Notice | None:
    if not state.subscription or state.subscription.status != "past_due":
        return None
    words = "Update your card, and the payment is tried again."
    if state.grace_until and state.grace_until > now:
        words = f"{state.plan.name} stays until {day(state.grace_until, zone)}. {words}"
    elif state.plan != paid:
        words = f"Your account is on {state.plan.name} until it does. {words}"
    return Notice(
        "danger", f"Your last payment for {paid.name} didn’t go through.", words, "billing:card", "Update card"
    )


def _ending(state: SubscriptionState, zone: ZoneInfo) -> Notice | None:
    if state.ends_at is None:
        return None
    name, at = state.plan.name, day(state.ends_at, zone)
    return Notice("warn", f"{name} ends on {at}.", "Until then nothing changes.", "billing:keep", f"Keep {name}")


def _pausing(state: SubscriptionState, paid: Plan, zone: ZoneInfo) -> Notice | None:
    again = f" It resumes on {day(state.resumes_at, zone)}." if state.resumes_at else ""
    # A pause that has come is undone by resuming, which charges; one that is scheduled is undone for nothing.
    if state.may_resume:
        words = f"Nothing is charged.{again}"
        if state.plan != paid:
            words = f"Your account is on {state.plan.name} until it resumes, and nothing is charged.{again}"
        return Notice("warn", f"{paid.name} is paused.", words, "billing:resume", f"Resume {paid.name}", link=True)
    if state.pauses_at:
        title = f"{state.plan.name} pauses on {day(state.pauses_at, zone)}."
        words = f"Until then nothing changes.{again}"
        return Notice("warn", title, words, "billing:keep", f"Keep {state.plan.name}")
    return None
