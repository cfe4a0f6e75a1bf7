"""Fulfilment: completed payments become credits and plans, once each (B5, M7–M9, P2, P4).

It depends on stored snapshots and the ledger alone, never on an event: it may run at any time, in any order, as often
as one likes. Each thing given has its own key in the ledger (`paddle:txn_…`, with the line's id for credits).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.core.exceptions import ObjectDoesNotExist
from django.db import DataError, IntegrityError, transaction
from django.utils import timezone

from billing import refunds
from billing.models import Adjustment, Line, PlanPrice, Transaction
from credits.ledger import grants, periods, upgrades
from credits.ledger.locking import locked
from credits.ledger.months import month_of
from credits.models import CreditPeriod, Grant, LedgerEntry, Plan

CARD_CHANGE = "subscription_payment_method_change"
PLAN_CHANGE = "subscription_update"
A_DAY = timedelta(days=1)
MONTHS = {PlanPrice.Interval.MONTH, PlanPrice.Interval.YEAR}


def fulfil(account_id: uuid.UUID, touched: Iterable[str] = (), *, now: datetime | None = None) -> None:
    """Give what completed payments of this account still wait for, in one transaction.

    Then reconcile the refunds of these payments and of those whose ids are in `touched`. A payment that can't be
    fulfilled waits with its reason in `held_up`, and holds up no other. `schedule.end_plans` ends plans, never this: a
    payment on its way, of a subscription that looks unpaid, must find its plan and what would roll over.
    """
    now = now or timezone.now()
    with locked([account_id], now, savepoint=False):
        # Skip locked rows: their holder waits for our wallet lock, so waiting would deadlock.
        payments = Transaction.objects.waiting().filter(account=account_id).select_for_update(skip_locked=True)
        reconciled = set(touched)
        for payment in sorted(payments, key=_by_period):
            payment.held_up = _given(payment, account_id, now)[:300]
            payment.settled_at = None if payment.held_up else now
            payment.save(update_fields=["held_up", "settled_at"])
            reconciled.add(payment.id)
        refunds_of = Adjustment.objects.filter(transaction_id__in=reconciled)
        refunded = set(refunds_of.values_list("transaction_id", flat=True))
        if refunded:
            for payment in Transaction.objects.filter(account=account_id, id__in=refunded):
                refunds.reconcile(payment, now)


def _by_period(payment: Transaction) -> tuple[datetime, datetime, str]:
    return payment.period_starts_at or payment.created_at, payment.created_at, payment.id


def _given(payment: Transaction, account_id: uuid.UUID, now: datetime) -> str:
    """Give all that was paid for. Returns why something could not be given, or ""."""
    if payment.origin == CARD_CHANGE:
        return ""
    lines = [line for line in payment.lines if not line.given_up]
    prices = PlanPrice.objects.by_paddle_id({line.price_id for line in payment.lines})
    reasons = []
    for line in lines:
        try:
            with transaction.atomic():
                reasons.append(_give(payment, line, prices, account_id, now))
        except (ValueError, ArithmeticError, ObjectDoesNotExist, IntegrityError, DataError) as error:
            # PostgreSQL's further lines quote the row.
            reasons.append(f"{type(error).__name__}: {error}".splitlines()[0])
    return " ".join(filter(None, reasons))


def _give(payment: Transaction, line: Line, prices: dict[str, PlanPrice], account_id: uuid.UUID, now: datetime) -> str:
    price = prices.get(line.price_id)
    if price is None:
        return f"Nothing here is sold at {line.price_id or 'a price without a name'}."
    if price.interval in MONTHS:
        replaced = [
            prices[other.price_id].plan for other in payment.lines if other.given_up and other.price_id in prices
        ]
        return _give_plan(payment, line, price, replaced[0] if replaced else None, account_id, now)
    grants.grant(
        account_id,
        Decimal(line.quantity),
        kind=Grant.Kind.PURCHASED,
        source_key=payment.key_of(line),
        reason=f"Paddle {payment.id}",
        now=now,
    )
    return ""


def _give_plan(
    payment: Transaction, line: Line, price: PlanPrice, replaced: Plan | None, account_id: uuid.UUID, now: datetime
) -> str:
    start, end = payment.period_starts_at, payment.period_ends_at
    if start is None or end is None:
        return "It names no billing period."
    if end <= start:
        return ""
    if payment.origin == PLAN_CHANGE or line.prorated:
        changed = upgrades.covering(account_id, start)
        if not changed:
            return "It changes a period whose payment is not here yet."
        # A refund may have cut the year short: a change within the time first paid for is an upgrade all the same.
        opened = payment_of(changed[0])
        paid_for = opened.period_ends_at if opened else None
        if end <= max(changed[0].paid_until or changed[0].ends_at, paid_for or changed[0].ends_at) + A_DAY:
            upgrades.grow(account_id, plan=price.plan, instead_of=replaced, at=start, source_key=payment.key, now=now)
            return ""
        if replaced:
            _give_back(changed[0], payment, start, now)
    # A year is paid at once and opens month by month; a trial of a year is over sooner.
    month = min(end, month_of(start, start)[1]) if price.interval == PlanPrice.Interval.YEAR else end
    periods.open_paid(
        account_id, plan=price.plan, starts_at=start, ends_at=month, paid_until=end, source_key=payment.key, now=now
    )
    return ""


def _give_back(changed: CreditPeriod, payment: Transaction, at: datetime, now: datetime) -> None:
    """Void what is left of a month that a paid year replaces, from the moment the year starts."""
    wanted = upgrades.share_left(changed.allocation, changed, at)
    for grant in Grant.objects.filter(period=changed, kind=Grant.Kind.ALLOCATION, remaining__gt=0).order_by("id"):
        taken = min(wanted, grant.remaining)
        if taken > 0:
            reason = f"Paddle {payment.id}: replaced by what was paid for instead."
            grants.void(grant, taken, source_key=f"{payment.key}:replaces:{grant.pk}", reason=reason, now=now)
        wanted -= taken


def payment_of(current: CreditPeriod) -> Transaction | None:
    """Returns the payment that opened this period, or the first month of its year, as the ledger has it."""
    keys = LedgerEntry.objects.filter(
        account_id=current.account_id,
        kind=LedgerEntry.Kind.ALLOCATION,
        period__anchor=current.anchor,
        source_key__startswith="paddle:txn_",
    ).values_list("source_key", flat=True)
    own = Transaction.objects.filter(account=current.account_id, id__in={key.split(":")[1] for key in keys})
    return own.exclude(period_starts_at=None).order_by("period_starts_at").first()
