"""A paid period that is heard of late: after a later one, or Free, has opened in its place (P2).

In time it would have closed when its successor opened, however long after its own end. So it is opened and closed at
once, and leaves what it would have left unused. Wallets must be locked.

Without usage the order in which payments are heard of makes no difference. Requests stay paid from what was there when
they were reported, so with usage two things differ from hearing of it in time: what the open period spent of the
rollover that is replaced here stays spent, and the new one is full (more is left); what was used in the late period
itself was paid from other credits, of which in time more might have lapsed (more is left) or, where the late
period's allocation is forfeited because two or more have opened since, would have been kept (less is left).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from itertools import takewhile

from django.db.models import F, Sum

from credits.ledger import rollover
from credits.ledger.rollover import MICROSECOND, Opening
from credits.models import CreditPeriod, Grant, LedgerEntry, UsageEvent


def insert(months: Iterable[Opening], current: CreditPeriod, now: datetime) -> CreditPeriod:
    """Open a paid period and close it at once; of a paid year, every month until the next period. Returns the first.

    In time what *it* had been handed would have lapsed when it closed: so the open period, where it is the next one,
    swaps what is left of its rollover for this one's.
    """
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
    occurred = _usage_between(opening.account_id, starts_at, after.starts_at)
    rollover.count_usage({period.id: occurred} | ({before.id: -occurred} if before else {}))
    if _is_next(current, period):
        _displace_rollover(current, opening.source_key, now)
    if not opening.plan.monthly_credits:
        rollover.line_without_credits(period, opening.source_key, now).save()
    allocate(period, opening.plan.monthly_credits, opening.source_key, now)
    return period


def _is_next(current: CreditPeriod, period: CreditPeriod) -> bool:
    """Whether no period lies between this closed one and the open one."""
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
    LedgerEntry.objects.bulk_create(entries)
    CreditPeriod.objects.filter(id=current.id).update(rollover=F("rollover") - total)


def allocate(period: CreditPeriod, credits: Decimal, source_key: str, now: datetime) -> None:
    """Allocate to a closed period: all of it is unused, so it rolls over to the open one or is forfeited at once."""
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
        remaining=0,
        withdrawn=credits,
        expires_at=period.ends_at,
        source_key=source_key,
        created_at=now,
    )
    CreditPeriod.objects.filter(id=period.id).update(allocation=F("allocation") + credits)
    rollover.record_grants(Grant.objects.bulk_create([allocation]))
    LedgerEntry.objects.bulk_create(
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
        if amount
    )
    if carried:
        rollover.add_to(current, Grant.Kind.ROLLOVER, carried, f"rollover:{source_key}", now)


def _usage_between(account_id: uuid.UUID, start: datetime, end: datetime) -> Decimal:
    occurred = UsageEvent.objects.filter(account=account_id, occurred_at__gte=start, occurred_at__lt=end)
    total: Decimal = occurred.aggregate(total=Sum("credits", default=Decimal(0)))["total"]
    return total
