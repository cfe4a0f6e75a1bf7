"""Periods: opening the next one, closing the one before, and what rolls over (M7, M8).

A period is [start, end) in UTC and closes when its successor opens, so there is never a gap. Free months and the
months of a paid year are opened by the clock; every other period by its payment, through `open_paid`.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import count

from dateutil.relativedelta import relativedelta
from django.db import DatabaseError, connection, transaction
from django.db.models import Sum
from django.utils import timezone

from credits.ledger import backdated, locking, rollover
from credits.ledger.rollover import MICRO, MICROSECOND, Opening
from credits.models import CreditPeriod, Grant, LedgerEntry, Plan, Wallet

FREE = "free"
HALF_A_MONTH = timedelta(days=15)
OPENED_AT_ONCE = 500

logger = logging.getLogger(__name__)


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
    counted from `starts_at`. One that lies before what is open, because its payment was heard of late, is opened
    and closed at once: what it leaves is what it would have left in time (`late.insert`).
    """
    now = now or timezone.now()
    locking.ensure([account_id])
    with transaction.atomic():
        lapse(locking.lock([account_id]), now)
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
        catch_up({account_id: now}, now)
        return CreditPeriod.objects.get(
            account_id=account_id,
            ledger_entries__kind=LedgerEntry.Kind.ALLOCATION,
            ledger_entries__source_key=source_key,
        )


def grow(
    account_id: uuid.UUID,
    *,
    plan: Plan,
    instead_of: Plan | None,
    at: datetime,
    source_key: str,
    now: datetime | None = None,
) -> bool:
    """Give what an upgrade to `plan` adds to the paid period it was made in, once per `source_key` (M9).

    The allocation grows by the difference between the two plans (`instead_of`, else the period's) times the share
    of the period that was left `at` the upgrade, in credits rounded half up, and never beyond what the larger plan
    gives for a whole period: going down and up again gives nothing twice. A downgrade changes nothing here: it takes
    effect with the next period. False when no paid period covers that moment (yet).
    """
    now = now or timezone.now()
    locking.ensure([account_id])
    with transaction.atomic():
        catch_up(locking.lock([account_id]), now)
        changed = covering(account_id, at)
        for number, period in enumerate(changed):
            difference = plan.monthly_credits - (instead_of or period.plan).monthly_credits
            if difference > 0:
                _grow(period, plan, share_left(difference, period, at), f"{source_key}:{number}", now)
        return bool(changed)


def covering(account_id: uuid.UUID, moment: datetime) -> list[CreditPeriod]:
    """The paid period that `moment` lies in, and what the clock opened after it of the same paid year.

    Where payments overlap it is the one that began last; of two that began at once, the one that stayed open longer.
    """
    paid = CreditPeriod.objects.filter(account_id=account_id, paid_until__isnull=False).select_related("plan")
    found = list(paid.filter(anchor__lte=moment, ends_at__gt=moment).order_by("-anchor", "starts_at"))
    months = [period for period in found if period.anchor == found[0].anchor]
    return list({month_of(period.anchor, period.starts_at): period for period in months}.values())


def open_free(account_id: uuid.UUID, *, starts_at: datetime, now: datetime | None = None) -> CreditPeriod:
    """Go over to Free from `starts_at` on, when a paid plan has ended. Does nothing when Free is open already."""
    now = now or timezone.now()
    locking.ensure([account_id])
    with transaction.atomic():
        lapse(locking.lock([account_id]), now)
        current = CreditPeriod.objects.filter(account_id=account_id, closed_at=None).first()
        if current is None or current.paid_until is not None:
            # A plan that ended before its last period began (refunded at once, say) ends after that beginning.
            earliest = current.starts_at + MICROSECOND if current else starts_at
            month, end = month_of(starts_at, max(now, earliest))
            start = max(month, earliest)
            free = Plan.objects.get(slug=FREE)
            rollover.open_all([Opening(account_id, free, start, end, starts_at, None, _clock_key(start))], now)
        catch_up({account_id: now}, now)
        return CreditPeriod.objects.get(account_id=account_id, closed_at=None)


def catch_up(due: Mapping[uuid.UUID, datetime | None], now: datetime) -> None:
    """Do what the clock owes to locked wallets: lapse holds and grants, open months. Skipped months don't pile up."""
    accounts = [account for account, due_at in due.items() if due_at is not None and due_at <= now]
    if not accounts:
        return
    locking.lapse_holds(accounts, now)
    lapse(accounts, now)
    owed = _due_openings(accounts, now)
    if owed:
        rollover.open_all(owed, now)
    schedule(accounts)


def open_due(accounts: Collection[uuid.UUID], now: datetime) -> None:
    """`catch_up` for readers: makes wallets where there are none and takes the locks itself."""
    locking.ensure(accounts)
    with transaction.atomic():
        catch_up(locking.lock(accounts), now)


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


def pay_until(period: CreditPeriod, until: datetime) -> None:
    """How long the open period's plan is paid for turns out otherwise: the clock opens months up to there only.

    Never before the period's own end. The wallet must be locked.
    """
    CreditPeriod.objects.filter(id=period.id, closed_at=None).update(paid_until=max(until, period.ends_at))
    schedule([period.account_id])


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
    rollover.withdraw(Grant.objects.filter(id__in=[grant.id for grant in grants]))


def schedule(accounts: Collection[uuid.UUID]) -> None:
    """Note when the clock is next due: the open period's end, where the clock opens the next, or a lapse.

    It opens no further month for an account that is deleted.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE credits_wallet w SET due_at = least(
                (SELECT p.ends_at FROM credits_creditperiod p JOIN accounts_user u ON u.id = p.account_id
                    WHERE p.account_id = w.account_id AND p.closed_at IS NULL AND u.deleted_at IS NULL
                    AND (p.paid_until IS NULL OR p.ends_at < p.paid_until)),
                (SELECT min(g.expires_at) FROM credits_grant g WHERE g.account_id = w.account_id
                    AND g.kind = 0 AND g.remaining > 0),
                (SELECT min(h.expires_at) FROM credits_hold h WHERE h.account_id = w.account_id AND h.state = 'open')
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
    owed = []
    for wallet in Wallet.objects.filter(account_id__in=accounts).select_related("account"):
        period = periods.get(wallet.account_id)
        plan, anchor, paid_until = free, wallet.account.date_joined, None
        if period:
            if period.ends_at > now or (period.paid_until and period.ends_at >= period.paid_until):
                continue
            # Nobody is left to use another month: the last one stays open, as that of a year not renewed does.
            if wallet.account.deleted_at:
                continue
            plan, anchor, paid_until = period.plan, period.anchor, period.paid_until
        # A paid year that has run out without a renewal keeps its last month open, however late the clock comes.
        moment = min(now, paid_until - MICROSECOND) if paid_until else max(now, anchor)
        start, end = month_of(anchor, moment)
        start = max(start, period.ends_at) if period else start
        end = _month_end(end, paid_until)
        owed.append(Opening(wallet.account_id, plan, start, end, anchor, paid_until, _clock_key(start)))
    return owed


def _month_end(end: datetime, paid_until: datetime | None) -> datetime:
    """A paid year a little longer or shorter than twelve months of its anchor still has twelve."""
    return paid_until if paid_until and paid_until - end < HALF_A_MONTH else end


def _clock_key(start: datetime) -> str:
    return f"clock:{start.isoformat()}"


def _paid_by(account_id: uuid.UUID, source_key: str) -> CreditPeriod | None:
    """The period that this payment opened."""
    lines = LedgerEntry.objects.filter(account_id=account_id, kind=LedgerEntry.Kind.ALLOCATION)
    line = lines.filter(source_key=source_key).select_related("period").first()
    return line.period if line else None


def _after_free(opening: Opening) -> Opening:
    """Free that began in the time paid for keeps its beginning, whether it is open still or was closed since."""
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
    """This month and those that the clock would open after it, to the end of what was paid for."""
    yield opening
    paid_until = opening.paid_until or opening.ends_at
    start = opening.ends_at
    for number in count(2):
        if start >= paid_until:
            return
        end = _month_end(month_of(opening.anchor, start)[1], paid_until)
        key = f"{opening.source_key}:month {number}"
        yield replace(opening, starts_at=start, ends_at=end, source_key=key)
        start = end


def share_left(credits: Decimal, period: CreditPeriod, at: datetime) -> Decimal:
    """What `credits` come to for the part of a period that was left at a moment, rounded half up.

    By the days that were paid for: a period that opened late was paid for from its month's beginning.
    """
    begin = month_of(period.anchor, period.starts_at)[0]
    left, whole = period.ends_at - max(at, begin), period.ends_at - begin
    return (credits * (left // MICROSECOND) / (whole // MICROSECOND)).quantize(MICRO, ROUND_HALF_UP)


def _grow(period: CreditPeriod, plan: Plan, credits: Decimal, source_key: str, now: datetime) -> None:
    if plan.monthly_credits > period.plan.monthly_credits:
        CreditPeriod.objects.filter(id=period.id).update(plan=plan)
        period.plan = plan
    allocated = Grant.objects.filter(period=period, kind=Grant.Kind.ALLOCATION)
    given: Decimal = allocated.aggregate(total=Sum("amount", default=Decimal(0)))["total"]
    credits = min(credits, period.plan.monthly_credits - given)
    if credits <= 0 or allocated.filter(source_key=source_key).exists():
        return
    if period.closed_at:
        backdated.allocate(period, credits, source_key, now)
    else:
        rollover.add_to(period, Grant.Kind.ALLOCATION, credits, source_key, now)
