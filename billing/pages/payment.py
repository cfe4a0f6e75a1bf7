"""The pay page: what is being paid for and how far it is (B4, B5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from billing import checkout
from billing.checkout import PurchaseState
from billing.fulfilment import CARD_CHANGE
from billing.models import PlanPrice, Purchase, Transaction
from billing.pages import money, payment_history
from billing.pages.plan_card import per
from sidekick import formatting

LONG = timedelta(seconds=60)
# Until a payment is processed, what it will come to with tax is Paddle's to say.
WITH_TAX = {"paid", "billed", "past_due", "completed"}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a purchase is, in words. `poll_seconds` is 0 where nothing more is to come by itself.

    `step` is `opening`, `ready`, `waiting`, `done` or `canceled`.
    """

    step: str
    title: str
    words: str
    poll_seconds: int

    @classmethod
    def of(cls, purchase: Purchase, *, completed: bool, waited: timedelta) -> Progress:
        """`completed` is what the browser says of the checkout: good for words, and for nothing else (B5)."""
        state = checkout.purchase_state(purchase)
        what = title_of(purchase)
        if state == PurchaseState.DONE:
            return cls("done", _given(purchase), "Your receipt is on its way by email.", 0)
        if state == PurchaseState.CANCELED:
            return cls("canceled", "This checkout was canceled", "Nothing was charged.", 0)
        if state == PurchaseState.PAID or (completed and state == PurchaseState.READY):
            adding = f"adding {purchase.quantity:,} credits" if is_credits(purchase) else f"setting up {what}"
            if waited >= LONG:
                words = "This takes longer than usual. Nothing is lost: it arrives by itself, and you may leave."
                return cls("waiting", f"Payment received, {adding}", words, 10)
            return cls("waiting", f"Payment received, {adding}", "This page updates itself.", 2)
        if state == PurchaseState.OPENING:
            if waited >= checkout.ANSWER_WITHIN:
                words = "Paddle didn’t answer, and nothing was charged. Go back to Billing and try again."
                return cls("opening", "The checkout didn’t open", words, 10)
            return cls("opening", "Preparing the checkout", "This page updates itself.", 2)
        return cls("ready", "", "", 0)


@dataclass(frozen=True, slots=True)
class Bill:
    """What the pay page says is paid for: rows of label and amount, the sum below them, and what it lacks."""

    rows: list[tuple[str, str]]
    sum_label: str
    sum: str
    note: str

    @classmethod
    def of_purchase(cls, purchase: Purchase) -> Bill:
        payment = Transaction.objects.filter(id=purchase.transaction_id).first() if purchase.transaction_id else None
        subtotal = money.written(purchase.amount, purchase.currency)
        label = title_of(purchase)
        if is_credits(purchase):
            label = f"{purchase.quantity:,} × {purchase.price}"
        if payment and payment.status in WITH_TAX:
            return cls.of_payment(label, payment)
        every = "" if is_credits(purchase) else f" Then the same {per(purchase.price)}, until you cancel."
        return cls([(label, subtotal)], "Subtotal", subtotal, f"Plus tax where it applies.{every}")

    @classmethod
    def of_payment(cls, label: str, payment: Transaction) -> Bill:
        rows = [(label, money.written(payment.total - payment.tax, payment.currency))]
        if payment.tax:
            rows.append(("Tax", money.written(payment.tax, payment.currency)))
        if payment.total != payment.grand_total:
            back = money.written(payment.grand_total - payment.total, payment.currency)
            rows.append(("From your balance at Paddle", back))
        return cls(rows, "Total", money.written(payment.grand_total, payment.currency), "")


def of_subscription(payment: Transaction, zone: ZoneInfo) -> tuple[str, Bill]:
    """Title and bill of a payment that no purchase stands for: an overdue one, or a change of card."""
    prices = PlanPrice.objects.by_paddle_id({line.price_id for line in payment.lines})
    label = payment_history.what_for(payment, prices, zone)
    if payment.origin == CARD_CHANGE:
        return "Update your card", Bill.of_payment("New card for your plan", payment)
    return label, Bill.of_payment(label, payment)


def is_credits(purchase: Purchase) -> bool:
    return purchase.price.interval == PlanPrice.Interval.CREDIT


def title_of(purchase: Purchase) -> str:
    return (
        payment_history.credits_words(purchase.quantity)
        if is_credits(purchase)
        else f"Sidekick {purchase.price.plan.name}"
    )


def _given(purchase: Purchase) -> str:
    if not is_credits(purchase):
        return f"You are on {purchase.price.plan.name}"
    credits: Decimal = checkout.given(purchase)
    return f"{formatting.credits(credits).removesuffix('.00')} credits added"
