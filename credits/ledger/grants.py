"""Giving credits, taking them back and restoring them, once per source key.

Every change leaves a `LedgerEntry` that says when, why and by whom.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal

from django.db.models import F, Sum
from django.utils import timezone

from credits.ledger import clock, spending
from credits.ledger.locking import locked
from credits.models import CreditPeriod, Grant, LedgerEntry

# Allocations and rollovers come from `periods` only.
GIVEN_KINDS = (Grant.Kind.COURTESY, Grant.Kind.PURCHASED)


class SourceKeyReused(ValueError):
    """The same source key was used for another amount or kind: one of the two callers is wrong."""


class NothingToRestore(ValueError):
    """More was to be given back than was taken from the grant, or its time is over."""


class NothingLeftToVoid(ValueError):
    """More was to be taken back than the grant gave, or its period is closed."""


def grant(
    account_id: uuid.UUID,
    credits: Decimal,
    *,
    kind: Grant.Kind,
    source_key: str,
    expires_at: datetime | None = None,
    reason: str = "",
    actor_id: uuid.UUID | None = None,
    now: datetime | None = None,
) -> Grant:
    """Give courtesy or bought credits, once per `source_key`: a repeated call returns the first grant.

    A debt is paid from it at once (M5). Raises `ValueError` for another kind, or an amount that is not positive or
    has more than 6 decimals, and `SourceKeyReused` when the key stands for something else.
    """
    if kind not in GIVEN_KINDS or credits <= 0 or credits != round(credits, 6):
        raise ValueError(f"{credits} credits of kind {kind.label} can't be given.")
    now = now or timezone.now()
    given = Grant(
        account_id=account_id,
        source_key=source_key,
        kind=kind,
        amount=credits,
        remaining=credits,
        expires_at=expires_at,
        created_at=now,
    )
    with locked([account_id], now):
        debt = LedgerEntry.objects.insert_with_grant(given, reason=reason, actor_id=actor_id)
        if debt is None:
            known = Grant.objects.get(account_id=account_id, source_key=source_key)
            if (known.kind, known.amount) != (kind, credits):
                raise SourceKeyReused(f"{source_key} already gave {known}.")
            return known
        if debt:
            spending.pay_debts([account_id])
            # The debt took its part of the grant in the database only.
            given.refresh_from_db()
        if expires_at:
            clock.schedule([account_id])
    return given


def void(
    given: Grant,
    credits: Decimal,
    *,
    source_key: str,
    reason: str,
    actor_id: uuid.UUID | None = None,
    now: datetime | None = None,
) -> LedgerEntry:
    """Take back `credits` of a grant, once per `source_key`; a repeated call returns the first line.

    Spent credits are charged to the account's other grants, in the order of spending, and else become debt.
    Raises `NothingLeftToVoid` when the grant has no such amount left to take, `ValueError` for an amount that is not
    positive or has more than 6 decimals, and `SourceKeyReused` when the key stands for something else.
    """
    if credits <= 0 or credits != round(credits, 6):
        raise ValueError(f"{credits} credits can't be taken back.")
    now = now or timezone.now()
    with locked([given.account_id], now):
        if known := _booked(given, LedgerEntry.Kind.VOIDED, -credits, source_key):
            return known
        current = Grant.objects.select_related("period").get(id=given.id)
        if credits > current.amount - current.withdrawn:
            raise NothingLeftToVoid(f"Only {current.amount - current.withdrawn} of this grant can be taken back.")
        # At the close its credits rolled over to another grant, or were forfeited.
        if current.period and current.period.closed_at:
            raise NothingLeftToVoid("This grant's period is closed: nothing of it is left.")
        # Unspent credits go first; the rest was spent, and is charged again below.
        taken = min(credits, current.remaining)
        Grant.objects.filter(id=current.id).update(remaining=F("remaining") - taken, withdrawn=F("withdrawn") + credits)
        line = LedgerEntry(
            account_id=current.account_id,
            kind=LedgerEntry.Kind.VOIDED,
            amount=-credits,
            grant=current,
            period_id=current.period_id,
            source_key=source_key,
            reason=reason,
            actor_id=actor_id,
            created_at=now,
        )
        [entry] = LedgerEntry.objects.book([line])
        _charge_again(current, credits, spent=credits - taken)
        # The grant may have been the next to lapse.
        clock.schedule([current.account_id])
        return entry


def restore(
    given: Grant,
    credits: Decimal,
    *,
    source_key: str,
    reason: str,
    actor_id: uuid.UUID | None = None,
    now: datetime | None = None,
) -> LedgerEntry:
    """Give back `credits` that `void` took from a grant, once per `source_key`; a debt is paid from them at once.

    They come back unspent: usage that `void` charged to other credits stays charged to them. Raises
    `NothingToRestore` for more than was taken, or when the grant's period is closed or the grant has lapsed,
    `ValueError` for an amount that is not positive or has more than 6 decimals, and `SourceKeyReused` when the key
    stands for something else.
    """
    if credits <= 0 or credits != round(credits, 6):
        raise ValueError(f"{credits} credits can't be restored.")
    now = now or timezone.now()
    with locked([given.account_id], now):
        if known := _booked(given, LedgerEntry.Kind.RESTORED, credits, source_key):
            return known
        current = Grant.objects.select_related("period").get(id=given.id)
        _must_be_restorable(current, credits, now)
        Grant.objects.filter(id=current.id).update(
            remaining=F("remaining") + credits, withdrawn=F("withdrawn") - credits
        )
        # `void` took the credits from the period's total as well.
        if current.period:
            column = "allocation" if current.kind == Grant.Kind.ALLOCATION else "rollover"
            CreditPeriod.objects.filter(id=current.period.id).update(**{column: F(column) + credits})
        line = LedgerEntry(
            account_id=current.account_id,
            kind=LedgerEntry.Kind.RESTORED,
            amount=credits,
            grant=current,
            period_id=current.period_id,
            source_key=source_key,
            reason=reason,
            actor_id=actor_id,
            created_at=now,
        )
        [entry] = LedgerEntry.objects.book([line])
        spending.pay_debts([current.account_id])
        clock.schedule([current.account_id])
        return entry


def taken_back(given: Grant) -> Decimal:
    """Returns the credits of a grant that were voided and not restored."""
    kinds = (LedgerEntry.Kind.VOIDED, LedgerEntry.Kind.RESTORED)
    entries = LedgerEntry.objects.filter(account_id=given.account_id, grant=given, kind__in=kinds)
    total: Decimal = entries.aggregate(total=Sum("amount", default=Decimal(0)))["total"]
    return -total


def _booked(given: Grant, kind: LedgerEntry.Kind, amount: Decimal, source_key: str) -> LedgerEntry | None:
    """Returns the line that this key booked before, if any. Raises `SourceKeyReused` when it says something else."""
    known = LedgerEntry.objects.filter(account_id=given.account_id, kind=kind, source_key=source_key).first()
    if known and (known.grant_id, known.amount) != (given.id, amount):
        raise SourceKeyReused(f"{source_key} is booked already, as {known.amount} credits {kind.label}.")
    return known


def _must_be_restorable(current: Grant, credits: Decimal, now: datetime) -> None:
    taken = taken_back(current)
    if credits > taken:
        raise NothingToRestore(f"Only {taken} of this grant were taken back, not {credits}.")
    if current.period and current.period.closed_at:
        raise NothingToRestore("This grant's period is closed.")
    # A courtesy grant lapses once; a second time the ledger would refuse, and the clock could not go on.
    if current.kind == Grant.Kind.COURTESY and current.expires_at and current.expires_at <= now:
        raise NothingToRestore("This grant has lapsed.")


def _charge_again(voided: Grant, credits: Decimal, *, spent: Decimal) -> None:
    """Draw the usage that voided credits had paid for from the account's other grants."""
    column = {
        Grant.Kind.COURTESY: "courtesy_used",
        Grant.Kind.ROLLOVER: "plan_used",
        Grant.Kind.ALLOCATION: "plan_used",
        Grant.Kind.PURCHASED: "additional_used",
    }[Grant.Kind(voided.kind)]
    # The open period's figures follow, whichever period the credits were spent in: the audit adds up all periods.
    changes = {column: F(column) - spent}
    if voided.kind in Grant.PLAN_KINDS:
        total = "allocation" if voided.kind == Grant.Kind.ALLOCATION else "rollover"
        changes[total] = F(total) - credits
    CreditPeriod.objects.filter(account_id=voided.account_id, closed_at=None).update(**changes)
    spending.draw([spending.Draw(voided.account_id, spent, Decimal(0))])
