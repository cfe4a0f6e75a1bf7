"""Bills: what the pay page says is paid for, and for how much (B4)."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from billing.fulfilment import CARD_CHANGE
from billing.models import PlanPrice, Purchase, Transaction
from billing.pages import money, payment_history
from billing.pages.plan_card import per

# Paddle knows the tax, and so the total, once a payment is processed.
WITH_TAX = {"paid", "billed", "past_due", "completed"}


@dataclass(frozen=True, slots=True)
class Bill:
    """Rows of label and amount, the sum below them, and a note on what it lacks."""

    rows: list[tuple[str, str]]
    sum_label: str
    sum: str
    note: str

    @classmethod
    def for_purchase(cls, purchase: Purchase) -> Bill:
        payment = Transaction.objects.filter(id=purchase.transaction_id).first() if purchase.transaction_id else None
        subtotal = money.written(purchase.amount, purchase.currency)
        label = title_of(purchase)
        if is_credits(purchase):
            label = f"{purchase.quantity:,} × {purchase.price}"
        if payment and payment.status in WITH_TAX:
            return cls.for_payment(label, payment)
        every = "" if is_credits(purchase) else f" Then the same {per(purchase.price)}, until you cancel."
        return cls([(label, subtotal)], "Subtotal", subtotal, f"Plus tax where it applies.{every}")

    @classmethod
    def for_payment(cls, label: str, payment: Transaction) -> Bill:
        rows = [(label, money.written(payment.total - payment.tax, payment.currency))]
        if payment.tax:
            rows.append(("Tax", money.written(payment.tax, payment.currency)))
        # Credit that Paddle owed the customer pays a part.
        if payment.total != payment.grand_total:
            back = money.written(payment.grand_total - payment.total, payment.currency)
            rows.append(("From your balance at Paddle", back))
        return cls(rows, "Total", money.written(payment.grand_total, payment.currency), "")


def for_subscription(payment: Transaction, zone: ZoneInfo) -> tuple[str, Bill]:
    """Returns title and bill of a payment without a purchase: an overdue one, or a change of card."""
    prices = PlanPrice.objects.by_paddle_id({line.price_id for line in payment.lines})
    label = payment_history.what_for(payment, prices, zone)
    if payment.origin == CARD_CHANGE:
        return "Update your card", Bill.for_payment("New card for your plan", payment)
    return label, Bill.for_payment(label, payment)


def is_credits(purchase: Purchase) -> bool:
    return purchase.price.interval == PlanPrice.Interval.CREDIT


def title_of(purchase: Purchase) -> str:
    return (
        payment_history.credits_words(purchase.quantity)
        if is_credits(purchase)
        else f"Sidekick {purchase.price.plan.name}"
    )
