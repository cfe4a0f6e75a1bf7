"""The consequences of a change or a cancellation, in sentences for the page that asks to confirm it."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from billing.models import PlanPrice
from billing.paddle.api import Preview
from billing.pages import money
from billing.pages.plan_card import day, per
from billing.subscriptions import SubscriptionState
from credits.models import Plan


def of_change(preview: Preview, price: PlanPrice, state: SubscriptionState, zone: ZoneInfo) -> list[str]:
    """Returns what changing to `price` means, in Paddle's own figures (B6)."""
    amount = money.written(preview.amount, preview.currency)
    at_once = {
        "charge": f"You pay {amount} now{_of_which_tax(preview)}.",
        "credit": f"Paddle keeps {amount} for you and takes your next payments from it first.",
    }.get(preview.action, "Nothing to pay now.")
    begins = day(preview.next_at, zone) if preview.next_at else ""
    words = [at_once]
    if state.plan.is_larger_than(price.plan) and begins:
        words.append(f"{price.plan.name} from {begins}; {state.plan.name} until then.")
    else:
        words.append(f"{price.plan.name} goes on as before." if price.plan == state.plan else _at_once(price, state))
    if preview.next_amount is not None and begins:
        amount = money.written(preview.next_amount, preview.currency)
        words.append(f"From {begins} you pay {amount} {per(price)}.")
    return words


def of_cancellation(state: SubscriptionState, free: Plan, zone: ZoneInfo) -> list[str]:
    """Returns what cancelling now means and when (B2). An overdue plan stays only as long as its grace."""
    subscription = state.subscription
    # A pause has no paid period left to wait for.
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


def _of_which_tax(preview: Preview) -> str:
    return f", of which {money.written(preview.tax, preview.currency)} is tax" if preview.tax else ""


def _at_once(price: PlanPrice, state: SubscriptionState) -> str:
    more = price.plan.monthly_credits - state.plan.monthly_credits
    if more <= 0:
        return f"{price.plan.name} begins at once."
    return f"{price.plan.name} begins at once, with its share of {more:,.0f} more credits for the rest of this period."
