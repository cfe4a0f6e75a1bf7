"""How an account's plan stands, in finished words: the notices above the Billing page and its plan card (B1, B7)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from billing.models import PlanPrice
from billing.paddle.api import Preview
from billing.pages import money
from billing.subscriptions import SubscriptionState
from credits.models import Plan
from sidekick import formatting


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to know, and the one thing to do about it: `view` is posted to, or only opened where `link`."""

    tone: str
    title: str
    words: str
    view: str
    label: str
    link: bool = False


@dataclass(frozen=True, slots=True)
class PlanCard:
    """`price` is what is paid now, with its interval in `per`; `note` says more where that isn't all."""

    name: str
    status: str
    tone: str
    price: str
    per: str
    note: str
    facts: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Overview:
    card: PlanCard
    notices: list[Notice]
    paid_plan: str

    @classmethod
    def of(cls, state: SubscriptionState, zone: ZoneInfo, now: datetime) -> Overview:
        """`paid_plan` is the plan that is subscribed to, which a pause or an unpaid bill may have suspended."""
        paid = state.price.plan if state.price else state.plan
        notices = [_overdue(state, paid, zone, now), _ending(state, zone), _pausing(state, paid, zone)]
        return cls(_card(state, paid, zone), [notice for notice in notices if notice], paid.name)


def consequences(preview: Preview, price: PlanPrice, state: SubscriptionState, zone: ZoneInfo) -> list[str]:
    """What changing to `price` means, in Paddle's own figures (B6)."""
    amount = money.written(preview.amount, preview.currency)
    at_once = {
        "charge": f"You pay {amount} now{_of_which_tax(preview)}.",
        "credit": f"Paddle keeps {amount} for you and takes your next payments from it first.",
    }.get(preview.action, "Nothing to pay now.")
    begins = day(preview.next_at, zone) if preview.next_at else ""
    words = [at_once]
    if price.plan.monthly_credits < state.plan.monthly_credits and begins:
        words.append(f"{price.plan.name} from {begins}; {state.plan.name} until then.")
    else:
        words.append(f"{price.plan.name} goes on as before." if price.plan == state.plan else _at_once(price, state))
    if preview.next_amount is not None and begins:
        amount = money.written(preview.next_amount, preview.currency)
        words.append(f"From {begins} you pay {amount} {per(price)}.")
    return words


def cancellation(state: SubscriptionState, free: Plan, zone: ZoneInfo) -> list[str]:
    """What cancelling now means and when (B2). An overdue plan stays only as long as its grace."""
    subscription = state.subscription
    if state.may_resume:
        paid = state.price.plan.name if state.price else "Your plan"
        return [f"{paid} ends at once and can’t be resumed. Nothing more is charged.", "You can subscribe again."]
    if state.plan == free:
        return ["Nothing more is charged.", f"Your account stays on {free.name}."]
    ends = state.grace_until or (subscription.period_ends_at if subscription else None)
    until = f"until {day(ends, zone)}" if ends else "until the end of what you paid for"
    return [
        f"{state.plan.name} stays as it is {until}. Nothing more is charged.",
        f"Then your account goes on as {free.name}, with {free.monthly_credits:,.0f} credits a month.",
    ]


def per(price: PlanPrice) -> str:
    return f"a {price.get_interval_display().lower()}"


def day(moment: datetime, zone: ZoneInfo) -> str:
    return formatting.day(moment.astimezone(zone))


def _of_which_tax(preview: Preview) -> str:
    return f", of which {money.written(preview.tax, preview.currency)} is tax" if preview.tax else ""


def _at_once(price: PlanPrice, state: SubscriptionState) -> str:
    more = price.plan.monthly_credits - state.plan.monthly_credits
    return f"{price.plan.name} begins at once, with its share of {more:,.0f} more credits for the rest of this period."


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


def _card(state: SubscriptionState, paid: Plan, zone: ZoneInfo) -> PlanCard:
    price, interval, note = _price(state, paid, zone)
    return PlanCard(
        name=state.plan.name,
        status=state.status,
        tone=state.tone,
        price=price,
        per=interval,
        note=note,
        facts=_facts(state, zone),
    )


def _price(state: SubscriptionState, paid: Plan, zone: ZoneInfo) -> tuple[str, str, str]:
    """What the plan costs now and how often, and a note where something else follows."""
    if not state.price:
        return ("$0", "", "") if not state.subscription else ("", "", "")
    cost, interval = str(state.price), per(state.price)
    if state.next_plan:
        when = f" from {day(state.renews_at, zone)}" if state.renews_at else ""
        return "", "", f"{state.next_plan.name}{when}, {cost} {interval}"
    if state.plan != paid:
        return "" if state.coming else "$0 for now,", "", f"{paid.name} is {cost} {interval}"
    if state.subscription and state.subscription.status == "trialing" and state.renews_at:
        return "$0", "", f"then {cost} {interval}"
    return cost, interval, ""


def _facts(state: SubscriptionState, zone: ZoneInfo) -> list[tuple[str, str]]:
    facts = [(label, day(at, zone)) for label, at in _dates(state) if at]
    facts.append(("Credits a month", f"{state.plan.monthly_credits:,.0f}"))
    facts.append(("Unused credits", "Roll over" if state.plan.rollover_percent else "Lapse"))
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
