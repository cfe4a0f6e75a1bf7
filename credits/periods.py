"""Periods: opening the next one, closing the one before, and what rolls over (M7, M8).

A period is [start, end) in UTC and closes when its successor opens, so there is never a gap. Free months and the
months of a paid year are opened by the clock; every other period by its payment, through `open_paid`.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from dateutil.relativedelta import relativedelta
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q, QuerySet, Sum
from django.utils import timezone
from pydantic_core import to_json

from credits import wallets
from credits.models import CreditPeriod, Grant, LedgerEntry, Plan, Wallet

FREE = "free"
MICRO = Decimal("0.000001")
HALF_A_MONTH = timedelta(days=15)
OPENED_AT_ONCE = 500

logger = logging.getLogger(__name__)


class PeriodOutOfOrder(ValueError):
    """A paid period was to open before the paid one that is open already."""


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


def month_of(anchor: datetime, moment: datetime) -> tuple[datetime, datetime]:
    """The month [start, end) that holds `moment`, counted from `anchor`.

    Months are added to the anchor, not to each other: 31 January is followed by 28 February and then 31 March.
    They are months of UTC, whatever zones the two come in.
    """
    anchor, moment = anchor.astimezone(UTC), moment.astimezone(UTC)
    months = (moment.year - anchor.year) * 12 + moment.month - anchor.month
    if anchor + relativedelta(months=months) > moment:
        months -= 1
    months = max(months, 0)
    return anchor + relativedelta(months=months), anchor + relativedelta(months=months + 1)


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
    counted from `starts_at`. Raises `PeriodOutOfOrder` when a later paid period is open already, or all that was
    paid for lies before the open Free one; nothing is changed then.
    """
    now = now or timezone.now()
    anchor, paid_until = starts_at, paid_until or ends_at
    wallets.ensure([account_id])
    with transaction.atomic():
        lapse(wallets.lock([account_id]), now)
        known = Grant.objects.filter(account_id=account_id, source_key=source_key).select_related("period").first()
        if known and known.period is None:
            raise ValueError(f"{source_key} already gave credits without a period.")
        if known and known.period:
            return known.period
        current = CreditPeriod.objects.filter(account_id=account_id, closed_at=None).first()
        if current and current.starts_at >= anchor:
            starts_at = current.starts_at + timedelta(microseconds=1)
            if current.paid_until is not None or starts_at >= paid_until:
                raise PeriodOutOfOrder(f"A period from {current.starts_at} is open; {anchor} came too late.")
            if starts_at >= ends_at:
                ends_at = min(month_of(anchor, starts_at)[1], paid_until)
        _open([Opening(account_id, plan, starts_at, ends_at, anchor, paid_until, source_key)], now)
        catch_up({account_id: now}, now)
        return CreditPeriod.objects.get(grants__source_key=source_key, account_id=account_id)


def open_free(account_id: uuid.UUID, *, starts_at: datetime, now: datetime | None = None) -> CreditPeriod:
    """Go over to Free from `starts_at` on, when a paid plan has ended. Does nothing when Free is open already."""
    now = now or timezone.now()
    wallets.ensure([account_id])
    with transaction.atomic():
        lapse(wallets.lock([account_id]), now)
        current = CreditPeriod.objects.filter(account_id=account_id, closed_at=None).first()
        if current is None or current.paid_until is not None:
            # A plan that ended before its last period began (refunded at once, say) ends after that beginning.
            earliest = current.starts_at + timedelta(microseconds=1) if current else starts_at
            month, end = month_of(starts_at, max(now, earliest))
            start = max(month, earliest)
            free = Plan.objects.get(slug=FREE)
            _open([Opening(account_id, free, start, end, starts_at, None, _clock_key(start))], now)
        catch_up({account_id: now}, now)
        return CreditPeriod.objects.get(account_id=account_id, closed_at=None)


def catch_up(due: Mapping[uuid.UUID, datetime | None], now: datetime) -> None:
    """Do what the clock owes to locked wallets: lapse courtesy grants, open months. Skipped months don't pile up."""
    accounts = [account for account, due_at in due.items() if due_at is not None and due_at <= now]
    if not accounts:
        return
    lapse(accounts, now)
    openings = _due_openings(accounts, now)
    if openings:
        _open(openings, now)
    schedule(accounts)


def open_due(accounts: Collection[uuid.UUID], now: datetime) -> None:
    """`catch_up` for readers: makes wallets where there are none and takes the locks itself."""
    wallets.ensure(accounts)
    with transaction.atomic():
        catch_up(wallets.lock(accounts), now)


def open_all_due(now: datetime) -> int:
    """What the hourly job does: every account the clock owes something, once, in transactions of a few hundred.

    An account that the database refuses is logged and left due; it must not keep the others waiting.
    """
    due = list(Wallet.objects.filter(due_at__lte=now).order_by("due_at").values_list("account_id", flat=True))
    for start in range(0, len(due), OPENED_AT_ONCE):
        together = due[start : start + OPENED_AT_ONCE]
        try:
            open_due(together, now)
        except DatabaseError:
            for account_id in together:
                _open_alone(account_id, now)
    return len(due)


def _open_alone(account_id: uuid.UUID, now: datetime) -> None:
    try:
        open_due([account_id], now)
    except DatabaseError:
        logger.exception("The clock can't open the next period of account %s", account_id)


def lapse(accounts: Collection[uuid.UUID], now: datetime) -> None:
    """Forfeit what is left of courtesy grants whose time has run out. Locks must be held."""
    grants = list(
        Grant.objects.filter(account_id__in=accounts, kind=Grant.Kind.COURTESY, remaining__gt=0, expires_at__lte=now)
    )
    LedgerEntry.objects.bulk_create(
        LedgerEntry(
            account_id=grant.account_id,
            kind=LedgerEntry.Kind.FORFEITED,
            amount=-grant.remaining,
            grant=grant,
            source_key=grant.source_key,
            created_at=now,
        )
        for grant in grants
    )
    withdraw(Grant.objects.filter(id__in=[grant.id for grant in grants]))


def withdraw(grants: QuerySet[Grant]) -> None:
    """Nothing more can be drawn from these; the ledger's line for it is the caller's."""
    grants.update(withdrawn=F("withdrawn") + F("remaining"), remaining=0)


def schedule(accounts: Collection[uuid.UUID]) -> None:
    """Note when the clock is next due: the open period's end, where the clock opens the next, or a lapse."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE credits_wallet w SET due_at = least(
                (SELECT p.ends_at FROM credits_creditperiod p WHERE p.account_id = w.account_id
                    AND p.closed_at IS NULL AND (p.paid_until IS NULL OR p.ends_at < p.paid_until)),
                (SELECT min(g.expires_at) FROM credits_grant g WHERE g.account_id = w.account_id
                    AND g.kind = 0 AND g.remaining > 0)
            )
            WHERE w.account_id = ANY(%s)
            """,
            [list(accounts)],
        )


def _due_openings(accounts: Collection[uuid.UUID], now: datetime) -> list[Opening]:
    periods = {
        period.account_id: period
        for period in CreditPeriod.objects.filter(account_id__in=accounts, closed_at=None).select_related("plan")
    }
    free = Plan.objects.get(slug=FREE)
    openings = []
    for wallet in Wallet.objects.filter(account_id__in=accounts).select_related("account"):
        period = periods.get(wallet.account_id)
        plan, anchor, paid_until = free, wallet.account.date_joined, None
        if period:
            if period.ends_at > now or (period.paid_until and period.ends_at >= period.paid_until):
                continue
            plan, anchor, paid_until = period.plan, period.anchor, period.paid_until
        # A paid year that has run out without a renewal keeps its last month open, however late the clock comes.
        moment = min(now, paid_until - timedelta(microseconds=1)) if paid_until else max(now, anchor)
        start, end = month_of(anchor, moment)
        start = max(start, period.ends_at) if period else start
        # A paid year a little longer or shorter than twelve months of its anchor still has twelve.
        end = paid_until if paid_until and paid_until - end < HALF_A_MONTH else end
        openings.append(Opening(wallet.account_id, plan, start, end, anchor, paid_until, _clock_key(start)))
    return openings


def _clock_key(start: datetime) -> str:
    return f"clock:{start.isoformat()}"


def _open(openings: list[Opening], now: datetime) -> None:
    """Close what is open, carry over what may be, and open. Locks must be held; a handful of statements in all."""
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
    for opening, period in zip(openings, periods, strict=True):
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
    wallets.draw(wallets.Draw(opening.account_id, Decimal(0), Decimal(0)) for opening in openings)


def record_grants(grants: Collection[Grant], *, reason: str = "", actor_id: uuid.UUID | None = None) -> None:
    """Write the ledger's line for each new grant."""
    LedgerEntry.objects.bulk_create(
        LedgerEntry(
            account_id=grant.account_id,
            kind=LedgerEntry.Kind[Grant.Kind(grant.kind).name],
            amount=grant.amount,
            grant=grant,
            period_id=grant.period_id,
            source_key=grant.source_key,
            reason=reason,
            actor_id=actor_id,
            created_at=grant.created_at,
        )
        for grant in grants
    )


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
        cap = (period.allocation * period.plan.rollover_percent / 100).quantize(MICRO, ROUND_HALF_UP)
        carried = min(period.unused_allocation or Decimal(0), cap)
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
