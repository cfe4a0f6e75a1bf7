"""The clock's duties for locked wallets: lapse holds and courtesy grants, open the periods that are due (M7).

Only `locking.locked` and writers inside it may call these functions: they take no lock themselves.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime

from django.db import connection

from credits.ledger import rollover, spending
from credits.ledger.months import MICROSECOND, last_month_end, month_of
from credits.ledger.rollover import Opening
from credits.models import CreditPeriod, Grant, Hold, LedgerEntry, Plan, Wallet


def catch_up(accounts: Collection[uuid.UUID], now: datetime) -> None:
    """Lapse what has expired and open what is due by `now`, then note when the clock is due next.

    Skipped months don't pile up: only the month that holds `now` is opened.
    """
    if not accounts:
        return
    spending.lapse_holds(accounts, now)
    lapse_courtesy(accounts, now)
    owed = _due_openings(accounts, now)
    if owed:
        rollover.open_all(owed, now)
    schedule(accounts)


def lapse_courtesy(accounts: Collection[uuid.UUID], now: datetime) -> None:
    """Forfeit what is left of courtesy grants that have expired."""
    grants = list(
        Grant.objects.filter(account_id__in=accounts, kind=Grant.Kind.COURTESY, remaining__gt=0, expires_at__lte=now)
    )
    LedgerEntry.objects.book(
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
    """Note when the clock is next due: at a lapse, or at the open period's end where the clock opens the next one."""
    # A deleted account gets no further month. A paid year opens months only until its end.
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE credits_wallet w SET due_at = least(
                (SELECT p.ends_at FROM credits_creditperiod p JOIN accounts_user u ON u.id = p.account_id
                    WHERE p.account_id = w.account_id AND p.closed_at IS NULL AND u.deleted_at IS NULL
                    AND (p.paid_until IS NULL OR p.ends_at < p.paid_until)),
                (SELECT min(g.expires_at) FROM credits_grant g WHERE g.account_id = w.account_id
                    AND g.kind = %(courtesy)s AND g.remaining > 0),
                (SELECT min(h.expires_at) FROM credits_hold h WHERE h.account_id = w.account_id
                    AND h.state = %(open)s)
            )
            WHERE w.account_id = ANY(%(accounts)s)
            """,
            {"accounts": list(accounts), "courtesy": Grant.Kind.COURTESY, "open": Hold.State.OPEN},
        )


def opening_key(start: datetime) -> str:
    """Returns the source key of a period that the clock opens at `start`."""
    return f"clock:{start.isoformat()}"


def _due_openings(accounts: Collection[uuid.UUID], now: datetime) -> list[Opening]:
    """Returns the periods that the clock owes these accounts: the next month, or the first one ever."""
    periods = {
        period.account_id: period
        for period in CreditPeriod.objects.filter(account_id__in=accounts, closed_at=None).select_related("plan")
    }
    free = Plan.objects.get(slug=Plan.FREE)
    owed = []
    for wallet in Wallet.objects.filter(account_id__in=accounts).select_related("account"):
        period = periods.get(wallet.account_id)
        # An account without a period gets its first one: Free, counted from sign-up.
        plan, anchor, paid_until = free, wallet.account.date_joined, None
        if period:
            if period.ends_at > now or (period.paid_until and period.ends_at >= period.paid_until):
                continue
            # A deleted account needs no further month: its last one stays open, like that of a year not renewed.
            if wallet.account.deleted_at:
                continue
            plan, anchor, paid_until = period.plan, period.anchor, period.paid_until
        # A paid year that has run out without a renewal keeps its last month open, however late the clock comes.
        moment = min(now, paid_until - MICROSECOND) if paid_until else max(now, anchor)
        start, end = month_of(anchor, moment)
        # The period before may have ended within this month: periods never overlap.
        start = max(start, period.ends_at) if period else start
        end = last_month_end(end, paid_until)
        owed.append(Opening(wallet.account_id, plan, start, end, anchor, paid_until, opening_key(start)))
    return owed
