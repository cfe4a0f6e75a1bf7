"""What screens and the API read: the balance, sums by model, and any page of requests.

Nothing here counts or skips over requests one by one: totals and far pages come from the rollups, and a page reads
its 20 rows from the index, so page 5,000 costs what page 1 costs.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from django.db import connection

from credits.ledger import periods
from credits.models import CreditPeriod, UsageRollup
from credits.reports.snapshot import snapshot
from credits.reports.spans import Span
from sidekick.web.pagination import PAGE_SIZE

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Balance:
    """One account's credits at one moment. All figures but the dates are credits.

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
        """What remains of all grants, held credits included; negative by the debt."""
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


@contextmanager
def current_balance(account_id: uuid.UUID, now: datetime) -> Iterator[Balance]:
    """The balance, and one consistent state for whatever else is read inside (C10).

    Opens what the clock owes first (M7), which is rare; otherwise this is one query.
    """
    with snapshot():
        balance = _read_balance(account_id, now)
        if balance:
            yield balance
            return
    periods.open_due([account_id], now)
    with snapshot():
        balance = _read_balance(account_id, now)
        assert balance, "the clock was just served"
        yield balance


def _read_balance(account_id: uuid.UUID, now: datetime) -> Balance | None:
    """None when a period has to open first."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT w.account_id, l.slug, l.name, l.may_buy_credits, p.starts_at, p.ends_at,
                p.allocation + p.rollover, p.rollover, p.used, p.plan_used, p.additional_used, p.courtesy_used,
                g.plan_left, g.rollover_left, g.additional, g.bought, g.courtesy, w.held, w.debt
            FROM credits_wallet w
            JOIN credits_creditperiod p ON p.account_id = w.account_id AND p.closed_at IS NULL
            JOIN credits_plan l ON l.slug = p.plan_id
            CROSS JOIN LATERAL (
                SELECT coalesce(sum(remaining) FILTER (WHERE kind IN (1, 2)), 0) AS plan_left,
                    coalesce(sum(remaining) FILTER (WHERE kind = 1), 0) AS rollover_left,
                    coalesce(sum(remaining) FILTER (WHERE kind = 3), 0) AS additional,
                    coalesce(sum(amount - withdrawn) FILTER (WHERE kind = 3), 0) AS bought,
                    coalesce(sum(remaining) FILTER (WHERE kind = 0), 0) AS courtesy
                FROM credits_grant WHERE account_id = w.account_id AND (remaining > 0 OR kind = 3)
            ) g
            WHERE w.account_id = %s AND (w.due_at IS NULL OR w.due_at > %s)
            """,
            [account_id, now],
        )
        row = cursor.fetchone()
        return Balance(*(*row, now)) if row else None


def start_of_last_period(account_id: uuid.UUID) -> datetime | None:
    """When the period before the open one began; None in an account's first."""
    closed = CreditPeriod.objects.filter(account_id=account_id, closed_at__isnull=False)
    return closed.order_by("-starts_at").values_list("starts_at", flat=True).first()


def has_usage(account_id: uuid.UUID) -> bool:
    """Whether the account ever made a request."""
    return UsageRollup.objects.filter(account=account_id).exists()


class ModelUsage(NamedTuple):
    """Sums of one model over a span."""

    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    credits: Decimal


class UsageRow(NamedTuple):
    """One request, as stored."""

    request_id: str
    occurred_at: datetime
    model: str
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    credits: Decimal

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens


@dataclass(frozen=True, slots=True)
class UsagePage:
    """A span's sums per model, most credits first; how many requests match; and those of one page."""

    models: list[ModelUsage]
    count: int
    rows: list[UsageRow]


def usage_by_model(account_id: uuid.UUID, span: Span) -> list[ModelUsage]:
    """Sums per model over the span, most credits first: the Models view."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_PARTS} SELECT * FROM by_model ORDER BY credits DESC, name", {"account": account_id, **span.parts()}
        )
        return [ModelUsage(*row) for row in cursor.fetchall()]


def usage_page(account_id: uuid.UUID, span: Span, *, page: int = 1, model: str | None = None) -> UsagePage:
    """One page (from 1) of a span's requests, newest first, of one model where one is named; one query.

    A page beyond the last has no rows.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _statement(far=page > 1 or model is not None, of_model=model is not None),
            {
                "account": account_id,
                "model": model,
                "skip": PAGE_SIZE * (page - 1),
                "size": PAGE_SIZE,
                **span.parts(),
            },
        )
        answer = cursor.fetchall()
    totals = [ModelUsage(name, *figures) for request_id, _, name, *figures in answer if request_id is None]
    totals.sort(key=lambda usage: (-usage.credits, usage.model))
    return UsagePage(
        models=totals,
        count=sum(usage.requests for usage in totals if model in (None, usage.model)),
        rows=[
            UsageRow(request_id, occurred_at, name, *figures)
            for request_id, occurred_at, name, _, *figures in answer
            if request_id is not None
        ],
    )


@cache
def _statement(*, far: bool, of_model: bool) -> str:
    """Without its indentation: psycopg remembers how to bind a statement only below 4,096 characters."""
    statement = _PARTS + (_FAR_PAGE if far else _FIRST_PAGE) + _TOTALS_AND_ROWS
    return " ".join(statement.replace("{model}", _OF_MODEL if of_model else "").split())


_SUMS = "requests, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, credits"
_COLUMNS = "request_id, occurred_at, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, credits"
_OF_MODEL = "AND model_id = (SELECT id FROM credits_aimodel WHERE name = %(model)s)"

# The parts that a span is made of, see `spans`; and their sums by model.
_PARTS = f"""
WITH parts AS (
    SELECT bucket + interval '1 day' AS ends, model_id, {_SUMS} FROM credits_usagerollup
    WHERE account_id = %(account)s AND grain = 1440 AND bucket >= %(d1)s AND bucket < %(d2)s
    UNION ALL
    SELECT bucket + interval '15 minutes', model_id, {_SUMS} FROM credits_usagerollup
    WHERE account_id = %(account)s AND grain = 15
        AND (bucket >= %(q1)s AND bucket < %(d1)s OR bucket >= %(d2)s AND bucket < %(q2)s)
    UNION ALL
    SELECT CASE WHEN occurred_at < %(q1)s THEN %(q1)s ELSE %(end)s END, model_id, 1, input_tokens, output_tokens,
        cache_read_tokens, cache_write_tokens, credits
    FROM credits_usageevent
    WHERE account_id = %(account)s
        AND (occurred_at >= %(start)s AND occurred_at < %(q1)s OR occurred_at >= %(q2)s AND occurred_at < %(end)s)
), by_model AS (
    SELECT m.name, sum(requests) AS requests, sum(input_tokens)::bigint, sum(output_tokens)::bigint,
        sum(cache_read_tokens)::bigint, sum(cache_write_tokens)::bigint, sum(credits) AS credits
    FROM parts JOIN credits_aimodel m ON m.id = parts.model_id
    GROUP BY m.name
)
"""

_TOTALS_AND_ROWS = """
SELECT NULL AS request_id, NULL AS occurred_at, by_model.* FROM by_model
UNION ALL
SELECT e.request_id, e.occurred_at, m.name, 1, e.input_tokens, e.output_tokens, e.cache_read_tokens,
    e.cache_write_tokens, e.credits
FROM page e JOIN credits_aimodel m ON m.id = e.model_id
ORDER BY occurred_at DESC, request_id DESC
"""

_FIRST_PAGE = f"""
, page AS (
    SELECT model_id, {_COLUMNS} FROM credits_usageevent
    WHERE account_id = %(account)s AND occurred_at >= %(start)s AND occurred_at < %(end)s
    ORDER BY occurred_at DESC, request_id DESC LIMIT %(size)s
)
"""

# `place` is the part that holds the first row wanted. The page lies in the quarters from there on: at most the 96 of
# a day come before it, and 20 with a row in each are enough. Within a quarter rows are skipped in the index.
_FAR_PAGE = f"""
, place AS (
    SELECT ends, before FROM (
        SELECT ends, sum(requests) AS n, sum(sum(requests)) OVER (ORDER BY ends DESC) - sum(requests) AS before
        FROM parts WHERE TRUE {{model}} GROUP BY ends
    ) p WHERE before <= %(skip)s AND before + n > %(skip)s
), quarters AS (
    (SELECT bucket AS starts, bucket + interval '15 minutes' AS ends, sum(requests) AS n FROM credits_usagerollup
    WHERE account_id = %(account)s AND grain = 15 AND bucket >= %(q1)s AND bucket < %(q2)s
        AND bucket < (SELECT ends FROM place) {{model}}
    GROUP BY bucket ORDER BY bucket DESC LIMIT 96 + %(size)s)
    UNION ALL
    SELECT %(q2)s, %(end)s, count(*) FROM credits_usageevent
    WHERE account_id = %(account)s AND occurred_at >= %(q2)s AND occurred_at < %(end)s
        AND %(end)s <= (SELECT ends FROM place) {{model}}
    UNION ALL
    SELECT %(start)s, %(q1)s, count(*) FROM credits_usageevent
    WHERE account_id = %(account)s AND occurred_at >= %(start)s AND occurred_at < %(q1)s {{model}}
), buckets AS (
    SELECT starts, ends, before FROM (
        SELECT starts, ends, n, (SELECT before FROM place) + sum(n) OVER (ORDER BY starts DESC) - n AS before
        FROM quarters WHERE n > 0
    ) q WHERE before < %(skip)s + %(size)s AND before + n > %(skip)s
), page AS (
    SELECT e.* FROM buckets b CROSS JOIN LATERAL (
        SELECT model_id, {_COLUMNS} FROM credits_usageevent
        WHERE account_id = %(account)s AND occurred_at >= b.starts AND occurred_at < b.ends {{model}}
        ORDER BY occurred_at DESC, request_id DESC
        OFFSET greatest(%(skip)s - b.before, 0)::bigint LIMIT %(size)s
    ) e ORDER BY occurred_at DESC, request_id DESC LIMIT %(size)s
)
"""
