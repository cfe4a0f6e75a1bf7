"""Payment history: the payments, what each was for, and what went back (B8). Rows are finished strings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.urls import reverse

from billing.fulfilment import CARD_CHANGE, PLAN_CHANGE
from billing.models import Adjustment, Line, PlanPrice, Transaction
from billing.pages import money
from billing.refunds import RETURNING, TAKEN, TAKING
from sidekick import formatting
from sidekick.accounts.models import User
from sidekick.web.pagination import Pages

# A checkout that was opened, closed or given up: no payment is due.
NEVER_DUE = ("draft", "ready", "canceled")

Badge = tuple[str, str]
PLAIN = "plain"
STATUSES: dict[str, Badge] = {
    "completed": (PLAIN, "Paid"),
    "paid": ("info", "Processing"),
    "billed": ("info", "Processing"),
    "past_due": ("bad", "Past due"),
}


@dataclass(frozen=True, slots=True)
class Payment:
    """One row. Badges are (tone, words); the usual status is plain, so that the others stand out."""

    id: str
    day: str
    iso: str
    what: str
    amount: str
    tax: str
    badges: list[Badge]
    invoice: bool


@dataclass(frozen=True, slots=True)
class History:
    """Up to 20 payments, newest first, and where they stand among all."""

    payments: list[Payment]
    pages: Pages

    @classmethod
    def for_account(cls, account: User, asked: str, zone: ZoneInfo) -> History:
        """The page that was asked for; the first one, and a sentence, where there is no such page. Four queries."""
        paid = Transaction.objects.filter(account=account).exclude(status__in=NEVER_DUE)
        # A card was changed for a plan that owed nothing.
        paid = paid.exclude(origin=CARD_CHANGE, grand_total=0).order_by("-created_at", "-id")
        here = reverse("billing:overview")
        pages = Pages.for_count(paid.count(), asked, lambda number: f"{here}?page={number}" if number > 1 else here)
        return cls(_payments(list(paid[pages.rows]), zone), pages)


def what_for(payment: Transaction, prices: dict[str, PlanPrice], zone: ZoneInfo) -> str:
    """Returns what a payment is for, in the buyer's words."""
    if payment.origin == CARD_CHANGE:
        return "Card changed"
    bought = [line for line in payment.lines if line.quantity > 0]
    # A change of plan gives money back for the old one, with a line of negative quantity.
    replaced = [prices[line.price_id] for line in payment.lines if line.quantity < 0 and line.price_id in prices]
    changed = payment.origin == PLAN_CHANGE or any(line.prorated for line in bought)
    words = []
    for line in bought:
        price = prices.get(line.price_id)
        if price is None:
            words.append("Payment")
        elif price.interval == PlanPrice.Interval.CREDIT:
            words.append(credits_words(line.quantity))
        elif changed:
            words.append(_change(price, replaced))
        else:
            words.append(_plan_and_period(payment, price, zone))
    return " + ".join(words) or "Payment"


def credits_words(quantity: int) -> str:
    return f"{quantity:,} additional credit{'' if quantity == 1 else 's'}"


def _payments(page: list[Transaction], zone: ZoneInfo) -> list[Payment]:
    lines: list[Line] = [line for payment in page for line in payment.lines]
    prices = PlanPrice.objects.by_paddle_id({line.price_id for line in lines}) if page else {}
    adjustments = defaultdict(list)
    for adjustment in Adjustment.objects.filter(transaction_id__in=[p.id for p in page]) if page else ():
        adjustments[adjustment.transaction_id].append(adjustment)
    return [_payment(payment, prices, adjustments[payment.id], zone) for payment in page]


def _payment(
    payment: Transaction, prices: dict[str, PlanPrice], adjustments: list[Adjustment], zone: ZoneInfo
) -> Payment:
    moment = (payment.billed_at or payment.created_at).astimezone(zone)
    return Payment(
        id=payment.id,
        day=formatting.day(moment),
        iso=moment.isoformat(timespec="seconds"),
        what=what_for(payment, prices, zone),
        amount=money.written(payment.grand_total, payment.currency),
        tax=money.written(payment.tax, payment.currency),
        badges=[_status(payment), *_went_back(payment, adjustments)],
        invoice=payment.has_invoice,
    )


def _status(payment: Transaction) -> Badge:
    # A renewal whose card was declined a moment ago is still `billed`: only its attempts say so.
    attempts = payment.data.get("payments") or [{}]
    if payment.status == "billed" and attempts[0].get("status") == "error":
        return ("bad", "Failed")
    return STATUSES.get(payment.status) or ("", payment.status.replace("_", " ").capitalize())


def _went_back(payment: Transaction, adjustments: Iterable[Adjustment]) -> list[Badge]:
    """Refunds and disputes. A refund that was turned down changed nothing and is not mentioned."""
    refunded = disputed = won = 0
    pending = False
    for adjustment in adjustments:
        if adjustment.action == "refund":
            refunded += adjustment.total if adjustment.status in TAKEN else 0
            pending |= adjustment.status == "pending_approval"
        elif adjustment.action in TAKING:
            disputed += adjustment.total if adjustment.status in TAKEN else 0
        elif adjustment.action in RETURNING and adjustment.status == "approved":
            won += adjustment.total
    badges: list[Badge] = []
    if refunded:
        # A refund may be split over several adjustments.
        whole = refunded >= payment.total
        badges.append(("", "Refunded" if whole else f"{money.written(refunded, payment.currency)} refunded"))
    if pending:
        badges.append(("warn", "Refund pending"))
    if disputed:
        badges.append(("", "Dispute won") if won >= disputed else ("bad", "Disputed"))
    return badges


def _change(price: PlanPrice, replaced: list[PlanPrice]) -> str:
    if replaced and price.plan.is_larger_than(replaced[0].plan):
        return f"Upgrade to {price.plan.name}"
    return f"Change to {price.plan.name}"


def _plan_and_period(payment: Transaction, price: PlanPrice, zone: ZoneInfo) -> str:
    start, end = payment.period_starts_at, payment.period_ends_at
    return f"{price.plan.name}, {span(start, end, zone)}" if start and end else price.plan.name


def span(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """16 Mar – 16 Apr 2026, with both years where they differ."""
    first, last = start.astimezone(zone), end.astimezone(zone)
    since = formatting.day(first)
    return f"{since.removesuffix(f' {last.year}')} – {formatting.day(last)}"
