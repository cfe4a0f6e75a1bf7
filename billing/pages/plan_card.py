"""The plan card: the plan and its status, its price and its dates (B1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from billing.models import PlanPrice
from billing.subscriptions import SubscriptionState
from sidekick import formatting


@dataclass(frozen=True, slots=True)
class PlanCard:
    """`price` is what is paid now, with its interval in `per`; `note` says more where that isn't all."""

    name: str
    status: str
    tone: str
    price: str
    per: str
    note: str
    facts: list[tuple[str, str]]

    @classmethod
    def for_state(cls, state: SubscriptionState, zone: ZoneInfo) -> PlanCard:
        price, interval, note = _price(state, zone)
        return cls(
            name=state.plan.name,
            status=state.status,
            tone=state.tone,
            price=price,
            per=interval,
            note=note,
            facts=_facts(state, zone),
        )


def per(price: PlanPrice) -> str:
    return f"a {price.get_interval_display().lower()}"


def day(moment: datetime, zone: ZoneInfo) -> str:
    return formatting.day(moment.astimezone(zone))


def _price(state: SubscriptionState, zone: ZoneInfo) -> tuple[str, str, str]:
    """Returns the price now, its interval, and a note where another price follows."""
    if not state.price:
        return ("$0", "", "") if not state.subscription else ("", "", "")
    cost, interval, paid = str(state.price), per(state.price), state.price.plan
    if state.next_plan:
        when = f" from {day(state.renews_at, zone)}" if state.renews_at else ""
        return "", "", f"{state.next_plan.name}{when}, {cost} {interval}"
    # A pause or an unpaid bill put the account on Free, or the payment of an upgrade is still on its way.
    if state.plan != paid:
        return "" if state.coming else "$0 for now,", "", f"{paid.name} is {cost} {interval}"
    if state.subscription and state.subscription.status == "trialing" and state.renews_at:
        return "$0", "", f"then {cost} {interval}"
    return cost, interval, ""


def _facts(state: SubscriptionState, zone: ZoneInfo) -> list[tuple[str, str]]:
    facts = [(label, day(at, zone)) for label, at in _dates(state) if at]
    facts.append(("Monthly credits", f"{state.plan.monthly_credits:,.0f}"))
    facts.append(("Unused credits", "Roll over" if state.plan.rollover_percent else "Expire"))
    facts.append(("Additional credits", "Can be bought" if state.plan.may_buy_credits else "Not on this plan"))
    return facts


def _dates(state: SubscriptionState) -> list[tuple[str, datetime | None]]:
    trial = state.subscription and state.subscription.status == "trialing"
    return [
        ("Trial ends on" if trial else "Renews on", state.renews_at),
        ("Ends on", state.ends_at),
        ("Pauses on", state.pauses_at),
        ("Resumes on", state.resumes_at),
        ("Stays until", state.grace_until),
        ("New credits on", state.period.ends_at if not state.subscription else None),
    ]
