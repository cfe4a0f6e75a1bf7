"""Backdated periods: paid periods whose payment arrives after a later one, or Free, has opened in their place (P2).

Everything here expects a locked wallet (`locking.locked`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from itertools import takewhile

from django.db.models import F, Sum

from credits.ledger import rollover
from credits.ledger.months import MICROSECOND
from credits.ledger.rollover import Opening
from credits.models import CreditPeriod, Grant, LedgerEntry, UsageEvent


def insert(months: Iterable[Opening], current: CreditPeriod, now: datetime) -> CreditPeriod:
    """Open a paid period and close it at once; of a paid year, every month until the next period. Returns the first.

    Without usage, the order in which payments arrive makes no difference to what is left. With usage it may: requests
    stay paid from the credits that were there when they were reported.

    - What the open period spent of the rollover that is replaced here stays spent, and the new rollover is full: more
      is left than if the payment had come in time.
    - Usage in the backdated period was paid from other credits. In time, more of those might have lapsed (more is
      left), or they would have been kept where the backdated allocation is forfeited (less is left).
    """
    # A payment in time would have closed the period when its successor opened, however long after its own end.
    months = iter(months)
    first = next(months)
    later = CreditPeriod.objects.filter(account_id=first.account_id, starts_at__gte=first.starts_at)
    end = later.earliest("starts_at").starts_at
    inserted = _insert(first, current, now)
    for month in takewhile(lambda month: month.starts_at < end, months):
        _insert(month, current, now)
    return inserted


def _insert(opening: Opening, current: CreditPeriod, now: datetime) -> CreditPeriod:
    starts_at = opening.starts_at
    # Two payments may name the same start, and an account has one period per start.
    while CreditPeriod.objects.filter(account_id=opening.account_id, starts_at=starts_at).exists():
        starts_at -= MICROSECOND
    around = CreditPeriod.objects.filter(account_id=opening.account_id)
    before = around.filter(starts_at__lt=starts_at).order_by("-starts_at").first()
    after = around.filter(starts_at__gt=starts_at).earliest("starts_at")
    period = CreditPeriod.objects.create(
        account_id=opening.account_id,
        plan=opening.plan,
        allocation=0,
        starts_at=starts_at,
        ends_at=opening.ends_at,
        anchor=opening.anchor,
        paid_until=opening.paid_until,
        closed_at=now,
    )
    # Usage counts in the period it occurred in: until now this time belonged to the period before.
    occurred = _usage_between(opening.account_id, starts_at, after.starts_at)
    rollover.count_usage({period.id: occurred} | ({before.id: -occurred} if before else {}))
    if _is_next(current, period):
        # The open period's rollover came from the period before this one: it would have lapsed with this one.
        _displace_rollover(current, opening.source_key, now)
    if not opening.plan.monthly_credits:
        LedgerEntry.objects.book([rollover.line_without_credits(period, opening.source_key, now)])
    allocate(period, opening.plan.monthly_credits, opening.source_key, now)
    return period


def _is_next(current: CreditPeriod, period: CreditPeriod) -> bool:
    """Returns whether no period lies between this closed one and the open one."""
    between = CreditPeriod.objects.filter(
        account_id=period.account_id, starts_at__gt=period.starts_at, starts_at__lt=current.starts_at
    )
    return not between.exists()


def _displace_rollover(current: CreditPeriod, source_key: str, now: datetime) -> None:
    handed = Grant.objects.filter(period=current, kind=Grant.Kind.ROLLOVER, remaining__gt=0)
    entries = [
        LedgerEntry(
            account_id=current.account_id,
            kind=LedgerEntry.Kind.FORFEITED,
            amount=-grant.remaining,
            grant=grant,
            period=current,
            source_key=f"{source_key}:instead of {grant.id}",
            created_at=now,
        )
        for grant in handed
    ]
    total = sum((-entry.amount for entry in entries), Decimal(0))
    rollover.withdraw(handed)
    LedgerEntry.objects.book(entries)
    CreditPeriod.objects.filter(id=current.id).update(rollover=F("rollover") - total)


def allocate(period: CreditPeriod, credits: Decimal, source_key: str, now: datetime) -> None:
    """Allocate credits to a closed period: all are unused, so they roll over to the open one or are forfeited at once.

    They roll over up to the plan's cap, and only where the open period is the next one (M8).
    """
    if not credits:
        return
    current = CreditPeriod.objects.get(account_id=period.account_id, closed_at=None)
    carried = Decimal(0)
    if _is_next(current, period):
        carried = min(credits, rollover.cap(period, credits))
    allocation = Grant(
        account_id=period.account_id,
        kind=Grant.Kind.ALLOCATION,
        period=period,
        amount=credits,
        # Nothing was drawn from it: all of it leaves at once, by the lines below.
        remaining=0,
        withdrawn=credits,
        expires_at=period.ends_at,
        source_key=source_key,
        created_at=now,
    )
    CreditPeriod.objects.filter(id=period.id).update(allocation=F("allocation") + credits)
    LedgerEntry.objects.book_grants(Grant.objects.bulk_create([allocation]))
    LedgerEntry.objects.book(
        LedgerEntry(
            account_id=period.account_id,
            kind=kind,
            amount=-amount,
            period=period,
            source_key=source_key,
            created_at=now,
        )
        for kind, amount in (
            (LedgerEntry.Kind.ROLLED_OUT, carried),
            (LedgerEntry.Kind.FORFEITED, credits - carried),
        )
    )
    if carried:
        rollover.add_to(current, Grant.Kind.ROLLOVER, carried, f"rollover:{source_key}", now)


def _usage_between(account_id: uuid.UUID, start: datetime, end: datetime) -> Decimal:
    occurred = UsageEvent.objects.filter(account=account_id, occurred_at__gte=start, occurred_at__lt=end)
    total: Decimal = occurred.aggregate(total=Sum("credits", default=Decimal(0)))["total"]
    return total
