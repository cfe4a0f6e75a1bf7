"""How an account's plan stands, in finished words: the notices above the Billing page and its plan card (B1, B7)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from billing.models import PlanPrice
from billing.paddle.api import Preview
from billing.pages import money
from billing.subscriptions import Standing
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
    def of(cls, stands: Standing, zone: ZoneInfo, now: datetime) -> Overview:
        """`paid_plan` is the plan that is subscribed to, which a pause or an unpaid bill may have suspended."""
        paid = stands.price.plan if stands.price else stands.plan
        notices = [_overdue(stands, paid, zone, now), _ending(stands, zone), _pausing(stands, paid, zone)]
        return cls(_card(stands, paid, zone), [notice for notice in notices if notice], paid.name)


def consequences(preview: Preview, price: PlanPrice, stands: Standing, zone: ZoneInfo) -> list[str]:
    """What changing to `price` means, in Paddle's own figures (B6)."""
    amount = money.written(preview.amount, preview.currency)
    at_once = {
        "charge": f"You pay {amount} now{_of_which_tax(preview)}.",
        "credit": f"Paddle keeps {amount} for you and takes your next payments from it first.",
    }.get(preview.action, "Nothing to pay now.")
    begins = day(preview.next_at, zone) if preview.next_at else ""
    words = [at_once]
    if price.plan.monthly_credits < stands.plan.monthly_credits and begins:
        words.append(f"{price.plan.name} from {begins}; {stands.plan.name} until then.")
    else:
        words.append(f"{price.plan.name} goes on as before." if price.plan == stands.plan else _at_once(price, stands))
    if preview.next_amount is not None and begins:
        amount = money.written(preview.next_amount, preview.currency)
        words.append(f"From {begins} you pay {amount} {per(price)}.")
    return words


def cancellation(stands: Standing, free: Plan, zone: ZoneInfo) -> list[str]:
    """What cancelling now means and when (B2). An overdue plan stays only as long as its grace."""
    subscription = stands.subscription
    if stands.may_resume:
        paid = stands.price.plan.name if stands.price else "Your plan"
        return [f"{paid} ends at once and can’t be resumed. Nothing more is charged.", "You can subscribe again."]
    if stands.plan == free:
        return ["Nothing more is charged.", f"Your account stays on {free.name}."]
    ends = stands.grace_until or (subscription.period_ends_at if subscription else None)
    until = f"until {day(ends, zone)}" if ends else "until the end of what you paid for"
    return [
        f"{stands.plan.name} stays as it is {until}. Nothing more is charged.",
        f"Then your account goes on as {free.name}, with {free.monthly_credits:,.0f} credits a month.",
    ]


def per(price: PlanPrice) -> str:
    return f"a {price.get_interval_display().lower()}"


def day(moment: datetime, zone: ZoneInfo) -> str:
    return formatting.day(moment.astimezone(zone))


def _of_which_tax(preview: Preview) -> str:
    return f", of which {money.written(preview.tax, preview.currency)} is tax" if preview.tax else ""


def _at_once(price: PlanPrice, stands: Standing) -> str:
    more = price.plan.monthly_credits - stands.plan.monthly_credits
    return f"{price.plan.name} begins at once, with its share of {more:,.0f} more credits for the rest of this period."


def _overdue(stands: Standing, paid: Plan, zone: ZoneInfo, now: datetime) -> Notice | None:
    if not stands.subscription or stands.subscription.status != "past_due":
        return None
    words = "Update your card, and the payment is tried again."
    if stands.grace_until and stands.grace_until > now:
        words = f"{stands.plan.name} stays until {day(stands.grace_until, zone)}. {words}"
    elif stands.plan != paid:
        words = f"Your account is on {stands.plan.name} until it does. {words}"
    return Notice(
        "danger", f"Your last payment for {paid.name} didn’t go through.", words, "billing_card", "Update card"
    )


def _ending(stands: Standing, zone: ZoneInfo) -> Notice | None:
    if stands.ends_at is None:
        return None
    name, at = stands.plan.name, day(stands.ends_at, zone)
    return Notice("warn", f"{name} ends on {at}.", "Until then nothing changes.", "billing_keep", f"Keep {name}")


def _pausing(stands: Standing, paid: Plan, zone: ZoneInfo) -> Notice | None:
    again = f" It resumes on {day(stands.resumes_at, zone)}." if stands.resumes_at else ""
    if stands.may_resume:
        words = f"Nothing is charged.{again}"
        if stands.plan != paid:
            words = f"Your account is on {stands.plan.name} until it resumes, and nothing is charged.{again}"
        return Notice("warn", f"{paid.name} is paused.", words, "billing_resume", f"Resume {paid.name}", link=True)
    if stands.pauses_at:
        title = f"{stands.plan.name} pauses on {day(stands.pauses_at, zone)}."
        words = f"Until then nothing changes.{again}"
        return Notice("warn", title, words, "billing_keep", f"Keep {stands.plan.name}")
    return None


def _card(stands: Standing, paid: Plan, zone: ZoneInfo) -> PlanCard:
    price, interval, note = _price(stands, paid, zone)
    return PlanCard(
        name=stands.plan.name,
        status=stands.status,
        tone=stands.tone,
        price=price,
        per=interval,
        note=note,
        facts=_facts(stands, zone),
    )


def _price(stands: Standing, paid: Plan, zone: ZoneInfo) -> tuple[str, str, str]:
    """What the plan costs now and how often, and a note where something else follows."""
    if not stands.price:
        return ("$0", "", "") if not stands.subscription else ("", "", "")
    cost, interval = str(stands.price), per(stands.price)
    if stands.next_plan:
        when = f" from {day(stands.renews_at, zone)}" if stands.renews_at else ""
        return "", "", f"{stands.next_plan.name}{when}, {cost} {interval}"
    if stands.plan != paid:
        return "" if stands.coming else "$0 for now,", "", f"{paid.name} is {cost} {interval}"
    if stands.subscription and stands.subscription.status == "trialing" and stands.renews_at:
        return "$0", "", f"then {cost} {interval}"
    return cost, interval, ""


def _facts(stands: Standing, zone: ZoneInfo) -> list[tuple[str, str]]:
    facts = [(label, day(at, zone)) for label, at in _dates(stands) if at]
    facts.append(("Credits a month", f"{stands.plan.monthly_credits:,.0f}"))
    facts.append(("Unused credits", "Roll over" if stands.plan.rollover_percent else "Lapse"))
    facts.append(("Additional credits", "Can be bought" if stands.plan.may_buy_credits else "Not on this plan"))
    return facts


def _dates(stands: Standing) -> list[tuple[str, datetime | None]]:
    trial = stands.subscription and stands.subscription.status == "trialing"
    return [
        ("Trial ends on" if trial else "Renews on", stands.renews_at),
        ("Ends on", stands.ends_at),
        ("Pauses on", stands.pauses_at),
        ("Resumes on", stands.resumes_at),
        ("Stays until", stands.grace_until),
        ("New credits on", stands.period.ends_at if not stands.subscription else None),
    ]
