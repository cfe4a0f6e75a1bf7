"""Upgrades: the credits that one adds to the paid period it is made in (M9)."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from django.db.models import Sum
from django.utils import timezone

from credits.ledger import backdated, rollover
from credits.ledger.locking import locked
from credits.ledger.months import MICROSECOND, month_of
from credits.models import MICRO, CreditPeriod, Grant, Plan


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
    of the period that was left `at` the upgrade, in credits rounded half up. A downgrade changes nothing here: it
    takes effect with the next period. Returns False when no paid period covers that moment (yet).
    """
    now = now or timezone.now()
    with locked([account_id], now):
        changed = covering(account_id, at)
        for number, period in enumerate(changed):
            replaced = instead_of or period.plan
            if not plan.is_larger_than(replaced):
                continue
            # A plan that costs more begins at once, even where it gives fewer credits.
            if plan.is_larger_than(period.plan):
                CreditPeriod.objects.filter(id=period.id).update(plan=plan)
                period.plan = plan
            difference = plan.monthly_credits - replaced.monthly_credits
            _grow(period, share_left(difference, period, at), f"{source_key}:{number}", now)
        return bool(changed)


def covering(account_id: uuid.UUID, moment: datetime) -> list[CreditPeriod]:
    """Returns the paid period that `moment` lies in, and the later months of the same paid year that are open already.

    Where payments overlap it is the one that began last; of two that began at once, the one that stayed open longer.
    """
    paid = CreditPeriod.objects.filter(account_id=account_id, paid_until__isnull=False).select_related("plan")
    found = list(paid.filter(anchor__lte=moment, ends_at__gt=moment).order_by("-anchor", "starts_at"))
    months = [period for period in found if period.anchor == found[0].anchor]
    # Two payments for one month start a microsecond apart (`backdated`). The later start is the one that stayed open.
    return list({month_of(period.anchor, period.starts_at): period for period in months}.values())


def share_left(credits: Decimal, period: CreditPeriod, at: datetime) -> Decimal:
    """Returns the share of `credits` for the part of a period that was left at a moment, rounded half up."""
    # The days that were paid for count: a period that opened late was paid for from its month's beginning.
    begin = month_of(period.anchor, period.starts_at)[0]
    left, whole = period.ends_at - max(at, begin), period.ends_at - begin
    return (credits * (left // MICROSECOND) / (whole // MICROSECOND)).quantize(MICRO, ROUND_HALF_UP)


def _grow(period: CreditPeriod, credits: Decimal, source_key: str, now: datetime) -> None:
    allocated = Grant.objects.filter(period=period, kind=Grant.Kind.ALLOCATION)
    given: Decimal = allocated.aggregate(total=Sum("amount", default=Decimal(0)))["total"]
    # Never beyond what the larger plan gives for a whole period: going down and up again gives nothing twice.
    credits = min(credits, period.plan.monthly_credits - given)
    if credits <= 0 or allocated.filter(source_key=source_key).exists():
        return
    if period.closed_at:
        backdated.allocate(period, credits, source_key, now)
    else:
        rollover.add_to(period, Grant.Kind.ALLOCATION, credits, source_key, now)
