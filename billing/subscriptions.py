"""A customer's plan: its state, and changing, canceling and resuming it (B1–B3, B6, B7, M9).

Paddle decides, and its answers update our snapshots like events. Credits follow by fulfilment: an upgrade adds some
when its payment is complete, a downgrade or cancellation takes effect with the next period.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from billing.models import PlanPrice, Subscription, Transaction
from billing.paddle import api, snapshots
from billing.paddle.api import PaddleFault
from billing.refusals import ChangeRefused
from credits.ledger import periods
from credits.models import CreditPeriod, Plan
from sidekick.accounts.models import User

WORDS = {"trialing": "Trialing", "active": "Active", "past_due": "Past due", "paused": "Paused", "canceled": "Canceled"}
TONES = {"trialing": "good", "active": "good", "past_due": "bad", "paused": "warn"}
CANCELABLE = {"active", "trialing", "past_due", "paused"}
A_DAY = timedelta(days=1)
logger = logging.getLogger(__name__)
PROCESSING = "A payment for your plan is still being processed. Try again in 10 minutes."


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """The state of an account's plan at one moment. Times are UTC.

    `plan` is what the account may do now (its open credit period's); `subscription` the one that is not over;
    `price` what that one pays; `coming` the larger plan that is subscribed to while its payment is on its way;
    `next_plan` the smaller plan that is paid for from `renews_at` on.
    """

    plan: Plan
    period: CreditPeriod
    subscription: Subscription | None
    price: PlanPrice | None
    coming: Plan | None
    next_plan: Plan | None
    status: str
    tone: str
    renews_at: datetime | None
    ends_at: datetime | None
    pauses_at: datetime | None
    resumes_at: datetime | None
    grace_until: datetime | None

    @property
    def may_change(self) -> bool:
        s = self.subscription
        return s is not None and s.status == "active" and not s.change_action

    @property
    def may_cancel(self) -> bool:
        s = self.subscription
        return s is not None and s.status in CANCELABLE and s.change_action != "cancel"

    @property
    def may_undo(self) -> bool:
        """Returns whether a cancellation or pause is scheduled that can still be undone."""
        return self.ends_at is not None or self.pauses_at is not None

    @property
    def may_resume(self) -> bool:
        return self.subscription is not None and self.subscription.status == "paused"

    @property
    def may_update_card(self) -> bool:
        return self.subscription is not None and self.subscription.status in {"active", "trialing", "past_due"}


def state_of(account: User, *, now: datetime | None = None) -> SubscriptionState:
    """Returns the state of this account's plan: three queries, and the clock's work where it is due."""
    period = _open_period(account, now or timezone.now())
    # Canceled subscriptions come last; of the others, the newest first.
    known = Subscription.objects.filter(account=account).alias(over=Q(status="canceled"))
    newest = known.order_by("over", "-started_at", "-id").first()
    subscription = newest if newest and newest.status != "canceled" else None
    status = newest.status if newest else "active"
    price = None
    if subscription:
        price = PlanPrice.objects.by_paddle_id([subscription.price_id]).get(subscription.price_id)
    change = subscription.change_action if subscription else ""
    at = subscription.change_at if subscription else None
    larger = price.plan if price and price.plan.is_larger_than(period.plan) else None
    smaller = price.plan if price and period.plan.is_larger_than(price.plan) else None
    runs = status in {"active", "trialing"} and change not in {"cancel", "pause"}
    paid_until = period.paid_until
    return SubscriptionState(
        plan=period.plan,
        period=period,
        subscription=subscription,
        price=price,
        coming=larger if status in {"active", "trialing"} else None,
        next_plan=smaller if change != "cancel" else None,
        status=WORDS.get(status, status.replace("_", " ").capitalize()),
        tone=TONES.get(status, ""),
        renews_at=subscription.next_billed_at if subscription and runs else None,
        ends_at=at if change == "cancel" else None,
        pauses_at=at if change == "pause" else None,
        resumes_at=at if change == "resume" else subscription.change_resume_at if subscription else None,
        grace_until=paid_until + settings.PAST_DUE_GRACE if status == "past_due" and paid_until else None,
    )


def choices(account: User, state: SubscriptionState) -> list[PlanPrice]:
    """Returns the price of every plan that is sold, in the order of the pricing page, the current one included."""
    return list(PlanPrice.objects.for_sale().known_to_paddle())


def preview(account: User, price: PlanPrice) -> api.Preview:
    """Returns what Paddle would charge for changing to `price` now. Raises `ChangeRefused` and `PaddleFault`."""
    state = state_of(account)
    subscription, mode = _changeable(state, price)
    return api.preview_change(subscription.id, price_id=price.paddle_price_id, mode=mode)


def change(account: User, price: PlanPrice) -> None:
    """Change the plan: dearer at once and paid in proportion, cheaper from the next period on, nothing to pay now.

    Raises `ChangeRefused` and `PaddleFault`; a card that is declined changes nothing.
    """
    subscription, mode = _changeable(state_of(account), price)
    snapshots.upsert_response(api.change_plan(subscription.id, price_id=price.paddle_price_id, mode=mode))


def cancel(account: User) -> None:
    """Cancel at the end of the paid period, a paused plan at once (B2). Raises `ChangeRefused` and `PaddleFault`."""
    state = state_of(account)
    if not state.may_cancel or not state.subscription:
        raise ChangeRefused("There is nothing to cancel: no plan is running, or its end is set already.")
    # It may have resumed meanwhile, and the period charged for then must not be lost.
    paused = state.may_resume and api.subscription(state.subscription.id).get("status") == "paused"
    snapshots.upsert_response(api.cancel(state.subscription.id, at_once=paused))


def undo_scheduled_change(account: User) -> None:
    """Undo a scheduled cancellation or pause (B3). Raises `ChangeRefused` and `PaddleFault`."""
    state = state_of(account)
    if not state.may_undo or not state.subscription:
        raise ChangeRefused("Nothing is scheduled that could be undone.")
    snapshots.upsert_response(api.undo_scheduled_change(state.subscription.id))


def resume(account: User) -> None:
    """End a pause now; Paddle charges for a new period at once. Raises `ChangeRefused` and `PaddleFault`."""
    state = state_of(account)
    if not state.may_resume or not state.subscription:
        raise ChangeRefused("Your plan is not paused.")
    snapshots.upsert_response(api.resume(state.subscription.id))


def cancel_all(account: User) -> None:
    """Cancel every checkout of the account that could still be paid, and every plan now. Nothing is paid back.

    Raises `PaddleFault`; calling it again does what is left.
    """
    # Checkouts come first: one that is paid meanwhile begins a plan, and where Paddle fails the plan goes on.
    opened = Transaction.objects.filter(account=account, status__in=["draft", "ready"]).order_by("id")
    for transaction in opened.filter(subscription_id=""):
        snapshots.upsert_response(api.cancel_transaction(transaction.id))
    for subscription in Subscription.objects.live().filter(account=account).order_by("id"):
        snapshots.upsert_response(api.cancel(subscription.id, at_once=True))


def cancel_all_of_deleted() -> int:
    """Cancel subscriptions that became known after their account was deleted. Returns the number of accounts."""
    running = Subscription.objects.live().filter(account__deleted_at__isnull=False)
    left = 0
    for account in User.objects.filter(id__in=running.values("account")):
        try:
            cancel_all(account)
            left += 1
        except PaddleFault as fault:
            logger.warning("the plan of deleted account %s could not be ended: %s", account.id, fault.code)
    return left


def _open_period(account: User, now: datetime) -> CreditPeriod:
    opened = CreditPeriod.objects.select_related("plan").filter(account=account, closed_at=None)
    current = opened.annotate(due_at=F("account__wallet__due_at")).first()
    if current is None or (current.due_at is not None and current.due_at <= now):
        periods.open_due([account.id], now)
        return opened.get()
    return current


def _changeable(state: SubscriptionState, price: PlanPrice) -> tuple[Subscription, str]:
    """The subscription, and how Paddle shall bill the change to `price`. Raises `ChangeRefused`."""
    subscription, current = state.subscription, state.price
    if not price.paddle_price_id or price.interval not in {"month", "year"}:
        raise ChangeRefused("This plan is not for sale.")
    if not subscription or not state.may_change:
        raise ChangeRefused(_why_not_now(state))
    paid_until = state.period.paid_until
    begun = subscription.period_starts_at
    # A period that has begun at Paddle and is not paid yet would be changed by what the one before it was.
    if not current or paid_until is None or (begun and begun >= paid_until):
        raise ChangeRefused(PROCESSING)
    ends = subscription.period_ends_at
    if ends and ends > paid_until + A_DAY:
        raise ChangeRefused("Money of this plan went back to you, so it can’t be changed. Write to us about it.")
    if current == price:
        raise ChangeRefused(f"You are on {price.plan.name} already.")
    if current.plan.is_larger_than(state.plan):
        raise ChangeRefused(PROCESSING)
    if current.interval != price.interval:
        return subscription, _interval_mode(state, current, price)
    dearer = price.plan.is_larger_than(state.plan)
    # The open period is paid for: going back to its plan costs nothing, and going down gives nothing back.
    return subscription, "prorated_immediately" if dearer else "do_not_bill"


def _interval_mode(state: SubscriptionState, current: PlanPrice, price: PlanPrice) -> str:
    if current.interval == "year":
        raise ChangeRefused("You paid for a year. Monthly payment can be chosen when it is over.")
    if state.plan.is_larger_than(price.plan):
        raise ChangeRefused(f"A year of {price.plan.name} can begin when your month of {state.plan.name} is over.")
    return "prorated_immediately"


def _why_not_now(state: SubscriptionState) -> str:
    if not state.subscription:
        return "You have no plan to change: choose one on the pricing page."
    if state.may_undo:
        return "First undo the change that is scheduled, then choose another plan."
    words = {
        "trialing": "The plan can be changed when the trial is over.",
        "past_due": "The plan can be changed once the last payment went through.",
        "paused": "Resume your plan first, then change it.",
    }
    return words.get(state.subscription.status, "The plan can't be changed right now.")
