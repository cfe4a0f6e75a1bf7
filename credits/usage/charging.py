"""Drawing what requests cost, and counting it in the periods they occurred in (M3, M5)."""

from __future__ import annotations

import uuid
from bisect import bisect_right
from collections import defaultdict
from datetime import datetime, timedelta

from credits.ledger import rollover, spending
from credits.models import CreditPeriod
from credits.prices import in_credits
from credits.usage.pricing import Priced

LATELY = timedelta(days=1)


def charge(fresh: list[Priced], now: datetime) -> None:
    """Draw the credits of these new requests, and count each in the period it occurred in, which may be closed.

    Wallets must be locked.
    """
    # Only recent usage marks the wallet for emails: nobody wants to hear about a balance because of an import.
    lately = {p.account_id for p in fresh if p.event["occurred_at"] > now - LATELY}
    totals: dict[str, int] = defaultdict(int)
    current: dict[str, int] = defaultdict(int)
    opened = _open_starts({uuid.UUID(account) for account in {p.account_id for p in fresh}})
    late = []
    for p in fresh:
        totals[p.account_id] += p.micro
        if p.event["occurred_at"] >= opened[p.account_id]:
            current[p.account_id] += p.micro
        else:
            late.append(p)
    if late:
        _count_late(late)
    spending.draw(
        spending.Draw(uuid.UUID(account), in_credits(total), in_credits(current[account]), account in lately)
        for account, total in totals.items()
    )


def _open_starts(accounts: set[uuid.UUID]) -> dict[str, datetime]:
    """Returns when the accounts' open periods start, by the account's id as text."""
    rows = CreditPeriod.objects.filter(account_id__in=accounts, closed_at=None)
    return {str(account): start for account, start in rows.values_list("account_id", "starts_at")}


def _count_late(late: list[Priced]) -> None:
    """Count requests in the closed periods they occurred in. A period lasts until the next one's start."""
    starts: dict[str, list[datetime]] = defaultdict(list)
    ids: dict[str, list[int]] = defaultdict(list)
    closed = CreditPeriod.objects.filter(account_id__in={p.account_id for p in late}, closed_at__isnull=False)
    for account, start, period_id in closed.order_by("starts_at").values_list("account_id", "starts_at", "id"):
        starts[str(account)].append(start)
        ids[str(account)].append(period_id)
    used: dict[int, int] = defaultdict(int)
    for p in late:
        place = bisect_right(starts[p.account_id], p.event["occurred_at"])
        # Usage before the account's first period belongs to none.
        if place:
            used[ids[p.account_id][place - 1]] += p.micro
    rollover.count_usage({period_id: in_credits(micro) for period_id, micro in used.items()})
