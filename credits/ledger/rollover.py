"""Opening periods and closing the ones before them, with what rolls over (M7, M8).

Everything here expects locked wallets (`locking.locked`) and takes as many statements for one account as for many.
`periods` and `clock` decide when it happens.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from django.db import connection
from django.db.models import F, Q, QuerySet, Sum
from pydantic_core import to_json

from credits.ledger import spending
from credits.models import MICRO, CreditPeriod, Grant, LedgerEntry, Plan


@dataclass(frozen=True, slots=True)
class Closed:
    """A period that was closed, and the credits of it that roll over."""

    period_id: int
    carried: Decimal


@dataclass(frozen=True, slots=True)
class Opening:
    """A period to open. Months are counted from `anchor`; `paid_until` is None for Free.

    `source_key` names the payment, or the clock and the start: the same key never opens twice.
    """

    account_id: uuid.UUID
    plan: Plan
    starts_at: datetime
    ends_at: datetime
    anchor: datetime
    paid_until: datetime | None
    source_key: str


def open_all(openings: list[Opening], now: datetime) -> None:
    """Close the accounts' open periods, carry over what may roll over, and open the next ones."""
    closed = _close(openings, now)
    # Before the new periods exist: their `used` starts with what moves to them.
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
        # Free has no payment that must be known again.
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
    LedgerEntry.objects.book_grants(Grant.objects.bulk_create(grants))
    LedgerEntry.objects.book(empty)
    # A debt of the period before is paid first (M5).
    spending.pay_debts([opening.account_id for opening in openings])


def add_to(current: CreditPeriod, kind: Grant.Kind, credits: Decimal, source_key: str, now: datetime) -> None:
    """Grant the open period more of this kind; a debt is paid from it at once (M5)."""
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
    # The period's totals are those that the cards show as granted.
    column = "rollover" if kind == Grant.Kind.ROLLOVER else "allocation"
    CreditPeriod.objects.filter(id=current.id).update(**{column: F(column) + credits})
    LedgerEntry.objects.book_grants(Grant.objects.bulk_create([added]))
    spending.pay_debts([current.account_id])


def line_without_credits(period: CreditPeriod, source_key: str, now: datetime) -> LedgerEntry:
    """Returns the line of a paid period whose plan has no credits: it marks the payment as known."""
    return LedgerEntry(
        account_id=period.account_id,
        kind=LedgerEntry.Kind.ALLOCATION,
        amount=0,
        period=period,
        source_key=source_key,
        created_at=now,
    )


def cap(period: CreditPeriod, credits: Decimal) -> Decimal:
    """Returns how many of these credits of the period's allocation may roll over, rounded half up (M8)."""
    return (credits * period.plan.rollover_percent / 100).quantize(MICRO, ROUND_HALF_UP)


def withdraw(grants: QuerySet[Grant]) -> None:
    """Withdraw what remains of these grants. The caller books the line for it."""
    grants.update(withdrawn=F("withdrawn") + F("remaining"), remaining=0)


def _close(openings: list[Opening], now: datetime) -> dict[uuid.UUID, Closed]:
    """Close the open periods of these accounts. Returns what was closed, by account."""
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
        # Only unused allocation rolls over, up to the cap. Unused rollover has lived its one period (M8).
        carried = min(period.unused_allocation or Decimal(0), cap(period, period.allocation))
        closed[period.account_id] = Closed(period.id, carried)
        for kind, amount in (
            (LedgerEntry.Kind.ROLLED_OUT, carried),
            (LedgerEntry.Kind.FORFEITED, (period.unused or Decimal(0)) - carried),
        ):
            entries.append(
                LedgerEntry(
                    account_id=period.account_id,
                    kind=kind,
                    amount=-amount,
                    period=period,
                    source_key=f"period:{period.id}",
                    created_at=now,
                )
            )
    ids = [period.id for period in closing]
    withdraw(Grant.objects.filter(period_id__in=ids, remaining__gt=0))
    CreditPeriod.objects.filter(id__in=ids).update(closed_at=now)
    LedgerEntry.objects.book(entries)
    return closed


def _move_usage(openings: list[Opening], closed: Mapping[uuid.UUID, Closed]) -> dict[uuid.UUID, Decimal]:
    """Move usage that occurred after the new start, but was recorded before it opened, to the new period.

    Returns the credits that moved, by account.
    """
    # The statement names each account, because usage may lie on other machines (`usage.citus`).
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
    """Add credits to `used` of these periods, by id. The open period's usage is counted by `spending.draw`."""
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
