"""The credits that an account has, used and owes at one moment."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection

from credits.ledger.periods import open_due
from credits.models import CreditPeriod, Grant
from credits.reports.spans import Span
from sidekick.database import snapshot

ZERO = Decimal(0)
# Backends' clocks may be some minutes ahead of ours.
CLOCKS_AHEAD = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Balance:
    """One account's credits at one moment, `as_of`. All figures but the dates are credits.

    They add up: plan_left = total − plan_used, and
    available = plan_left + additional + courtesy − held (0 where there is a debt), and
    used + elsewhere = plan_used + additional_used + courtesy_used + debt.
    """

    account_id: uuid.UUID
    plan: str
    plan_name: str
    may_buy_credits: bool
    starts_at: datetime
    ends_at: datetime
    total: Decimal
    rollover: Decimal
    used: Decimal
    plan_used: Decimal
    additional_used: Decimal
    courtesy_used: Decimal
    plan_left: Decimal
    rollover_left: Decimal
    additional: Decimal
    bought: Decimal
    courtesy: Decimal
    held: Decimal
    debt: Decimal
    as_of: datetime

    @property
    def unspent(self) -> Decimal:
        """All that remains of grants, held credits included; negative by the debt."""
        return self.plan_left + self.additional + self.courtesy - self.debt

    @property
    def available(self) -> Decimal:
        return max(self.unspent - self.held, ZERO)

    @property
    def elsewhere(self) -> Decimal:
        """Paid in this period (or owed now) for requests that occurred outside it; negative for the reverse."""
        return self.plan_used + self.additional_used + self.courtesy_used + self.debt - self.used

    @property
    def percent(self) -> Decimal:
        """Used ÷ total of the period, in percent (C2); 100 when something was used of nothing."""
        if not self.total:
            return Decimal(100) if self.used else ZERO
        return self.used / self.total * 100

    @property
    def period(self) -> Span:
        """The open period: up to its end, or up to now where its successor is late."""
        # A period closes when its successor opens, which may be after `ends_at` (M7).
        return Span(self.starts_at, max(self.ends_at, self.as_of + CLOCKS_AHEAD))


@contextmanager
def current_balance(account_id: uuid.UUID, now: datetime) -> Iterator[Balance]:
    """The balance, and one consistent state for everything else that is read inside (C10)."""
    with snapshot():
        balance = _read_balance(account_id, now)
        if balance:
            yield balance
            return
    # Rare: the clock owes this account a new period (M7). Opening it is the ledger's work, in a transaction of its own.
    open_due([account_id], now)
    with snapshot():
        balance = _read_balance(account_id, now)
        assert balance, "the clock was just served"
        yield balance


def start_of_last_period(account_id: uuid.UUID) -> datetime | None:
    """When the period before the open one began; None in an account's first."""
    closed = CreditPeriod.objects.filter(account_id=account_id, closed_at__isnull=False)
    return closed.order_by("-starts_at").values_list("starts_at", flat=True).first()


def _read_balance(account_id: uuid.UUID, now: datetime) -> Balance | None:
    """One query. None when a period has to open first."""
    with connection.cursor() as cursor:
        # Spent purchases are read too, because `bought` counts all of them; of other grants only what remains.
        cursor.execute(
            """
            SELECT w.account_id, l.slug, l.name, l.may_buy_credits, p.starts_at, p.ends_at,
                p.allocation + p.rollover, p.rollover, p.used, p.plan_used, p.additional_used, p.courtesy_used,
                g.plan_left, g.rollover_left, g.additional, g.bought, g.courtesy, w.held, w.debt
            FROM credits_wallet w
            JOIN credits_creditperiod p ON p.account_id = w.account_id AND p.closed_at IS NULL
            JOIN credits_plan l ON l.slug = p.plan_id
            CROSS JOIN LATERAL (
                SELECT coalesce(sum(remaining) FILTER (WHERE kind = ANY(%(plan)s)), 0) AS plan_left,
                    coalesce(sum(remaining) FILTER (WHERE kind = %(rollover)s), 0) AS rollover_left,
                    coalesce(sum(remaining) FILTER (WHERE kind = %(purchased)s), 0) AS additional,
                    coalesce(sum(amount - withdrawn) FILTER (WHERE kind = %(purchased)s), 0) AS bought,
                    coalesce(sum(remaining) FILTER (WHERE kind = %(courtesy)s), 0) AS courtesy
                FROM credits_grant WHERE account_id = w.account_id AND (remaining > 0 OR kind = %(purchased)s)
            ) g
            WHERE w.account_id = %(account)s AND (w.due_at IS NULL OR w.due_at > %(now)s)
            """,
            {
                "account": account_id,
                "now": now,
                "plan": list(Grant.PLAN_KINDS),
                "rollover": Grant.Kind.ROLLOVER,
                "purchased": Grant.Kind.PURCHASED,
                "courtesy": Grant.Kind.COURTESY,
            },
        )
        row = cursor.fetchone()
        return Balance(*(*row, now)) if row else None
