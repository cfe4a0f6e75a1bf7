"""When periods open: by a payment, by the end of a paid plan, or by the clock (M7).

A period is [start, end) in UTC and closes when its successor opens, so there is never a gap. The clock opens Free
months and the months of a paid year; every other period is opened by its payment, through `open_paid`.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import count

from django.db import DatabaseError
from django.utils import timezone

from credits.ledger import backdated, clock, rollover
from credits.ledger.locking import locked
from credits.ledger.months import MICROSECOND, last_month_end, month_of
from credits.ledger.rollover import Opening
from credits.models import CreditPeriod, Grant, LedgerEntry, Plan, Wallet

OPENED_AT_ONCE = 500

logger = logging.getLogger(__name__)


def open_paid(
    account_id: uuid.UUID,
    *,
    plan: Plan,
    starts_at: datetime,
    ends_at: datetime,
    source_key: str,
    paid_until: datetime | None = None,
    now: datetime | None = None,
) -> CreditPeriod:
    """Open the period that a payment paid for, once per `source_key` (the payment), and grant its allocation.

    `paid_until` is later than `ends_at` for a paid year: the clock then opens its further months. A period that
    would start before the Free one it replaces starts right after that one's start, and its months are still
    counted from `starts_at`. A period that lies before the open one, because its payment arrived late, is opened
    and closed at once (`backdated.insert`). Raises `ValueError` where the key gave bought or courtesy credits.
    """
    now = now or timezone.now()
    # The clock must not open a month in the place of the one that was paid for.
    with locked([account_id], now, open_due=False):
        if Grant.objects.filter(account_id=account_id, source_key=source_key, period=None).exists():
            raise ValueError(f"{source_key} already gave credits without a period.")
        known = _paid_by(account_id, source_key)
        if known:
            return known
        opening = _after_free(
            Opening(account_id, plan, starts_at, ends_at, starts_at, paid_until or ends_at, source_key)
        )
        current = CreditPeriod.objects.filter(account_id=account_id, closed_at=None).first()
        if current and current.starts_at >= opening.starts_at:
            return backdated.insert(_months(opening), current, now)
        rollover.open_all([opening], now)
        # A payment that arrives months late may have opened a period that is over.
        clock.catch_up([account_id], now)
        return CreditPeriod.objects.get(
            account_id=account_id,
            ledger_entries__kind=LedgerEntry.Kind.ALLOCATION,
            ledger_entries__source_key=source_key,
        )


def open_free(account_id: uuid.UUID, *, starts_at: datetime, now: datetime | None = None) -> CreditPeriod:
    """Open Free from `starts_at` on, when a paid plan has ended. Changes nothing where Free is open already."""
    now = now or timezone.now()
    with locked([account_id], now, open_due=False):
        current = CreditPeriod.objects.filter(account_id=account_id, closed_at=None).first()
        if current is None or current.paid_until is not None:
            # A plan that was refunded at once ends before its last period began; Free starts after that beginning.
            earliest = current.starts_at + MICROSECOND if current else starts_at
            month, end = month_of(starts_at, max(now, earliest))
            start = max(month, earliest)
            free = Plan.objects.get(slug=Plan.FREE)
            rollover.open_all([Opening(account_id, free, start, end, starts_at, None, clock.opening_key(start))], now)
        clock.catch_up([account_id], now)
        return CreditPeriod.objects.get(account_id=account_id, closed_at=None)


def open_due(accounts: Collection[uuid.UUID], now: datetime) -> None:
    """Open the periods that are due, for readers that find one is."""
    with locked(accounts, now):
        pass


def open_all_due(now: datetime) -> int:
    """Let the clock catch up for every account that is due, in transactions of `OPENED_AT_ONCE`. Returns how many.

    An account that the database refuses is logged and left due.
    """
    due = list(Wallet.objects.filter(due_at__lte=now).order_by("due_at").values_list("account_id", flat=True))
    for start in range(0, len(due), OPENED_AT_ONCE):
        together = due[start : start + OPENED_AT_ONCE]
        try:
            open_due(together, now)
        except DatabaseError:
            # One account must not keep the others of its transaction waiting.
            for account_id in together:
                _open_alone(account_id, now)
    return len(due)


def _open_alone(account_id: uuid.UUID, now: datetime) -> None:
    try:
        open_due([account_id], now)
    except DatabaseError:
        logger.exception("The clock can't open the next period of account %s", account_id)


def pay_until(period: CreditPeriod, until: datetime, now: datetime) -> None:
    """Change until when the open period's plan is paid for: the clock opens no month after that.

    It is never before the period's own end. Months that are due by `now` are opened at once.
    """
    # The clock must not open a month that is paid for no more.
    with locked([period.account_id], now, open_due=False):
        CreditPeriod.objects.filter(id=period.id, closed_at=None).update(paid_until=max(until, period.ends_at))
        clock.catch_up([period.account_id], now)


def _paid_by(account_id: uuid.UUID, source_key: str) -> CreditPeriod | None:
    """Returns the period that this payment opened."""
    lines = LedgerEntry.objects.filter(account_id=account_id, kind=LedgerEntry.Kind.ALLOCATION)
    line = lines.filter(source_key=source_key).select_related("period").first()
    return line.period if line else None


def _after_free(opening: Opening) -> Opening:
    """Start the period after a Free one that began within the time paid for, whether that is still open or not."""
    paid_until = opening.paid_until or opening.ends_at
    free = CreditPeriod.objects.filter(account_id=opening.account_id, paid_until=None)
    within = free.filter(starts_at__gte=opening.anchor, starts_at__lt=paid_until - MICROSECOND)
    last = within.order_by("-starts_at").first()
    if last is None:
        return opening
    starts_at, ends_at = last.starts_at + MICROSECOND, opening.ends_at
    if starts_at >= ends_at:
        ends_at = min(month_of(opening.anchor, starts_at)[1], paid_until)
    return replace(opening, starts_at=starts_at, ends_at=ends_at)


def _months(opening: Opening) -> Iterator[Opening]:
    """Yield this month and those that the clock would open after it, to the end of what was paid for."""
    yield opening
    paid_until = opening.paid_until or opening.ends_at
    start = opening.ends_at
    for number in count(2):
        if start >= paid_until:
            return
        end = last_month_end(month_of(opening.anchor, start)[1], paid_until)
        key = f"{opening.source_key}:month {number}"
        yield replace(opening, starts_at=start, ends_at=end, source_key=key)
        start = end
