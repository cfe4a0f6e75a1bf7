"""Opening a period and closing the one before it, in a handful of statements for any number of accounts.

Everything here expects the wallets to be locked (`credits/ledger/locking.py`); `periods` decides when.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from django.db import connection
from django.db.models import F, Q, QuerySet, Sum
from pydantic_core import to_json

from credits.ledger import locking
from credits.models import CreditPeriod, Grant, LedgerEntry, Plan

MICRO = Decimal("0.000001")
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Closed:
    period_id: int
    carried: Decimal


@dataclass(frozen=True, slots=True)
class Opening:
    account_id: uuid.UUID
    plan: Plan
    starts_at: datetime
    ends_at: datetime
    anchor: datetime
    paid_until: datetime | None
    source_key: str


def open_all(openings: list[Opening], now: datetime) -> None:
    """Close what is open, carry over what may be, and open."""
    closed = _close(openings, now)
    early = _move_usage(openings, closed)
    periods = CreditPeriod.objects.bulk_create(
        CreditPeriod(
            account_id=opening.account_id,
            plan=opening.plan,
            allocation=opening.plan.monthly_credits,
            rollover=closed[opening.account_id].carried if opening.account_id in closed else Decimal(0),
            used=early.get(opening.account_id, Decimal(0)),
            starts_at=opening.starts_at,
            ends_at=opening.ends_at,
            anchor=opening.anchor,
            paid_until=opening.paid_until,
        )
        for opening in openings
    )
    grants = []
    empty = []
    for opening, period in zip(openings, periods, strict=True):
        if not period.allocation and period.paid_until:
            empty.append(line_without_credits(period, opening.source_key, now))
        for kind, amount, key in (
            (Grant.Kind.ROLLOVER, period.rollover, f"rollover:{opening.source_key}"),
            (Grant.Kind.ALLOCATION, period.allocation, opening.source_key),
        ):
            if amount:
                grants.append(
                    Grant(
                        account_id=period.account_id,
                        kind=kind,
                        period=period,
                        amount=amount,
                        remaining=amount,
                        expires_at=period.ends_at,
                        source_key=key,
                        created_at=now,
                    )
                )
    record_grants(Grant.objects.bulk_create(grants))
    LedgerEntry.objects.bulk_create(empty)
    locking.draw(locking.Draw(opening.account_id, Decimal(0), Decimal(0)) for opening in openings)


def add_to(current: CreditPeriod, kind: Grant.Kind, credits: Decimal, source_key: str, now: datetime) -> None:
    """Add to what the open period has of this kind; a debt is paid from it at once."""
    added = Grant(
        account_id=current.account_id,
        kind=kind,
        period=current,
        amount=credits,
        remaining=credits,
        expires_at=current.ends_at,
        source_key=source_key,
        created_at=now,
    )
    column = "rollover" if kind == Grant.Kind.ROLLOVER else "allocation"
    CreditPeriod.objects.filter(id=current.id).update(**{column: F(column) + credits})
    record_grants(Grant.objects.bulk_create([added]))
    locking.draw([locking.Draw(current.account_id, Decimal(0), Decimal(0))])


def line_without_credits(period: CreditPeriod, source_key: str, now: datetime) -> LedgerEntry:
    """A plan without credits grants nothing, yet its payment must be known when it is heard of again."""
    return LedgerEntry(
        account_id=period.account_id,
        kind=LedgerEntry.Kind.ALLOCATION,
        amount=0,
        period=period,
        source_key=source_key,
        created_at=now,
    )


def record_grants(grants: Collection[Grant]) -> None:
    """Write the ledger's line for each new grant."""
    LedgerEntry.objects.bulk_create(
        LedgerEntry(
            account_id=grant.account_id,
            kind=LedgerEntry.Kind[Grant.Kind(grant.kind).name],
            amount=grant.amount,
            grant=grant,
            period_id=grant.period_id,
            source_key=grant.source_key,
            created_at=grant.created_at,
        )
        for grant in grants
    )


def cap(period: CreditPeriod, credits: Decimal) -> Decimal:
    """How much of these credits of its allocation may roll over (M8)."""
    return (credits * period.plan.rollover_percent / 100).quantize(MICRO, ROUND_HALF_UP)


def withdraw(grants: QuerySet[Grant]) -> None:
    """Nothing more can be drawn from these; the ledger's line for it is the caller's."""
    grants.update(withdrawn=F("withdrawn") + F("remaining"), remaining=0)


def _close(openings: list[Opening], now: datetime) -> dict[uuid.UUID, Closed]:
    """Close the open periods of these accounts, by account. What is not carried over is forfeited (M8)."""
    accounts = [opening.account_id for opening in openings]
    closing = list(
        CreditPeriod.objects.filter(account_id__in=accounts, closed_at=None)
        .select_related("plan")
        .annotate(
            unused=Sum("grants__remaining"),
            unused_allocation=Sum("grants__remaining", filter=Q(grants__kind=Grant.Kind.ALLOCATION)),
        )
    )
    closed = {}
    entries = []
    for period in closing:
        carried = min(period.unused_allocation or Decimal(0), cap(period, period.allocation))
        closed[period.account_id] = Closed(period.id, carried)
        for kind, amount in (
            (LedgerEntry.Kind.ROLLED_OUT, carried),
            (LedgerEntry.Kind.FORFEITED, (period.unused or Decimal(0)) - carried),
        ):
            if amount:
                key = f"period:{period.id}"
                entries.append(
                    LedgerEntry(
                        account_id=period.account_id,
                        kind=kind,
                        amount=-amount,
                        period=period,
                        source_key=key,
                        created_at=now,
                    )
                )
    ids = [period.id for period in closing]
    withdraw(Grant.objects.filter(period_id__in=ids, remaining__gt=0))
    CreditPeriod.objects.filter(id__in=ids).update(closed_at=now)
    LedgerEntry.objects.bulk_create(entries)
    return closed


def _move_usage(openings: list[Opening], closed: Mapping[uuid.UUID, Closed]) -> dict[uuid.UUID, Decimal]:
    """Usage that occurred after the new start but was recorded before it opened counts in the new period."""
    starts = [{"account_id": opening.account_id, "starts_at": opening.starts_at} for opening in openings]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT o.account_id, sum(e.credits)
            FROM json_to_recordset(%s) AS o(account_id uuid, starts_at timestamptz)
            JOIN credits_usageevent e ON e.account_id = o.account_id AND e.occurred_at >= o.starts_at
            GROUP BY o.account_id
            """,
            [to_json(starts).decode()],
        )
        moved: dict[uuid.UUID, Decimal] = dict(cursor.fetchall())
    count_usage({closed[account].period_id: -credits for account, credits in moved.items() if account in closed})
    return moved


def count_usage(credits_of: Mapping[int, Decimal]) -> None:
    """Add to `used` of these periods, by id; never of one that `wallets.draw` counts in the same statement."""
    if not credits_of:
        return
    rows = [{"id": period_id, "credits": str(credits)} for period_id, credits in credits_of.items()]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE credits_creditperiod p SET used = p.used + n.credits
            FROM json_to_recordset(%s) AS n(id bigint, credits numeric) WHERE p.id = n.id
            """,
            [to_json(rows).decode()],
        )
