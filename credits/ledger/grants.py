"""Giving credits and taking them back. Every change leaves a `LedgerEntry` that says when, why and by whom."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import F, Sum
from django.utils import timezone

from credits.ledger import locking, periods
from credits.models import CreditPeriod, Grant, LedgerEntry

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

    A debt is paid from it at once (M5). Allocations and rollovers come from `periods` only. Raises `ValueError`
    for a kind or an amount that can't be given, `SourceKeyReused` when the key stands for something else.
    """
    now = now or timezone.now()
    locking.ensure([account_id])
    with transaction.atomic():
        periods.catch_up(locking.lock([account_id]), now)
        given = grant_locked(
            account_id,
            credits,
            kind=kind,
            source_key=source_key,
            expires_at=expires_at,
            reason=reason,
            actor_id=actor_id,
            now=now,
        )
        given.refresh_from_db()
        return given


def grant_locked(
    account_id: uuid.UUID,
    credits: Decimal,
    *,
    kind: Grant.Kind,
    source_key: str,
    expires_at: datetime | None = None,
    reason: str = "",
    actor_id: uuid.UUID | None = None,
    now: datetime,
) -> Grant:
    """`grant` for a writer that holds the wallet's lock and let the clock catch up.

    What a debt took of the grant is in the database only: its `remaining` here is as it was given.
    """
    if kind not in GIVEN_KINDS or credits <= 0 or credits != round(credits, 6):
        raise ValueError(f"{credits} credits of kind {kind.label} can't be given.")
    given = Grant(
        account_id=account_id,
        source_key=source_key,
        kind=kind,
        amount=credits,
        remaining=credits,
        expires_at=expires_at,
        created_at=now,
    )
    debt = _insert(given, reason, actor_id)
    if debt is None:
        known = Grant.objects.get(account_id=account_id, source_key=source_key)
        if (known.kind, known.amount) != (kind, credits):
            raise SourceKeyReused(f"{source_key} already gave {known}.")
        return known
    if debt:
        locking.draw([locking.Draw(account_id, Decimal(0), Decimal(0))])
    if expires_at:
        periods.schedule([account_id])
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
    """Take back `credits` of a grant, once per `source_key`.

    What was spent already has to be paid by the account's other grants, in their order, and else becomes debt.
    Raises `NothingLeftToVoid` when the grant has no such amount left to take.
    """
    if credits <= 0 or credits != round(credits, 6):
        raise ValueError(f"{credits} credits can't be taken back.")
    now = now or timezone.now()
    with transaction.atomic():
        periods.catch_up(locking.lock([given.account_id]), now)
        if known := _booked(given, LedgerEntry.Kind.VOIDED, -credits, source_key):
            return known
        current = Grant.objects.select_related("period").get(id=given.id)
        if credits > current.amount - current.withdrawn:
            raise NothingLeftToVoid(f"Only {current.amount - current.withdrawn} of this grant can be taken back.")
        if current.period and current.period.closed_at:
            raise NothingLeftToVoid("This grant's period is closed: nothing of it is left.")
        taken = min(credits, current.remaining)
        Grant.objects.filter(id=current.id).update(remaining=F("remaining") - taken, withdrawn=F("withdrawn") + credits)
        entry = LedgerEntry.objects.create(
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
        _charge_again(current, credits, spent=credits - taken)
        periods.schedule([current.account_id])
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

    What the voided credits had paid for was charged to other credits then, and stays so: these come back unspent.
    Raises `NothingToRestore` for more than was taken, or when the grant's period is closed or it has lapsed.
    """
    if credits <= 0 or credits != round(credits, 6):
        raise ValueError(f"{credits} credits can't be restored.")
    now = now or timezone.now()
    with transaction.atomic():
        periods.catch_up(locking.lock([given.account_id]), now)
        if known := _booked(given, LedgerEntry.Kind.RESTORED, credits, source_key):
            return known
        current = Grant.objects.select_related("period").get(id=given.id)
        _must_be_restorable(current, credits, now)
        Grant.objects.filter(id=current.id).update(
            remaining=F("remaining") + credits, withdrawn=F("withdrawn") - credits
        )
        if current.period:
            column = "allocation" if current.kind == Grant.Kind.ALLOCATION else "rollover"
            CreditPeriod.objects.filter(id=current.period.id).update(**{column: F(column) + credits})
        entry = LedgerEntry.objects.create(
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
        locking.draw([locking.Draw(current.account_id, Decimal(0), Decimal(0))])
        periods.schedule([current.account_id])
        return entry


def taken_back(given: Grant) -> Decimal:
    """What of a grant was voided and not restored, in credits."""
    kinds = (LedgerEntry.Kind.VOIDED, LedgerEntry.Kind.RESTORED)
    entries = LedgerEntry.objects.filter(account_id=given.account_id, grant=given, kind__in=kinds)
    total: Decimal = entries.aggregate(total=Sum("amount", default=Decimal(0)))["total"]
    return -total


def _insert(given: Grant, reason: str, actor_id: uuid.UUID | None) -> Decimal | None:
    """Insert a grant with its line of the ledger. Answers what the account owes; None where its key gave already.

    One statement: Paddle waits for it with each purchase.
    """
    kind = LedgerEntry.Kind[Grant.Kind(given.kind).name]
    columns = given.account_id, given.kind, given.amount, given.remaining, given.expires_at, given.source_key
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH given AS (
                INSERT INTO credits_grant
                    (account_id, kind, amount, remaining, expires_at, source_key, created_at, withdrawn)
                VALUES (%s, %s, %s, %s, %s, %s, %s, 0)
                ON CONFLICT (account_id, source_key) DO NOTHING
                RETURNING id, account_id, amount, source_key, created_at
            ), booked AS (
                INSERT INTO credits_ledgerentry
                    (account_id, kind, amount, grant_id, source_key, reason, actor_id, created_at)
                SELECT account_id, %s, amount, id, source_key, %s, %s, created_at FROM given
            )
            SELECT g.id, w.debt FROM given g JOIN credits_wallet w USING (account_id)
            """,
            [*columns, given.created_at, kind, reason, actor_id],
        )
        row: tuple[int, Decimal] | None = cursor.fetchone()
    if row is None:
        return None
    given.pk, debt = row
    return debt


def _booked(given: Grant, kind: LedgerEntry.Kind, amount: Decimal, source_key: str) -> LedgerEntry | None:
    """What this key was booked for before. Raises `SourceKeyReused` when that was something else."""
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
    """The usage that voided credits had paid for is drawn from what else is there."""
    column = {
        Grant.Kind.COURTESY: "courtesy_used",
        Grant.Kind.ROLLOVER: "plan_used",
        Grant.Kind.ALLOCATION: "plan_used",
        Grant.Kind.PURCHASED: "additional_used",
    }[Grant.Kind(voided.kind)]
    changes = {column: F(column) - spent}
    if voided.kind in Grant.PLAN_KINDS:
        total = "allocation" if voided.kind == Grant.Kind.ALLOCATION else "rollover"
        changes[total] = F(total) - credits
    CreditPeriod.objects.filter(account_id=voided.account_id, closed_at=None).update(**changes)
    locking.draw([locking.Draw(voided.account_id, spent, Decimal(0))])
