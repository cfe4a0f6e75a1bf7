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
from typing import NamedTuple

from django.db import connection

from credits import periods
from credits.snapshot import snapshot
from credits.spans import Span

PAGE_SIZE = 20
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
    previous_starts_at: datetime | None
    total: Decimal
    rollover: Decimal
    used: Decimal
    plan_used: Decimal
    additional_used: Decimal
    courtesy_used: Decimal
    plan_left: Decimal
    additional: Decimal
    bought: Decimal
    courtesy: Decimal
    held: Decimal
    debt: Decimal
    has_usage: bool
    as_of: datetime

    @property
    def available(self) -> Decimal:
        return max(self.plan_left + self.additional + self.courtesy - self.held - self.debt, ZERO)

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
                (SELECT max(b.starts_at) FROM credits_creditperiod b
                    WHERE b.account_id = w.account_id AND b.closed_at IS NOT NULL),
                p.allocation + p.rollover, p.rollover, p.used, p.plan_used, p.additional_used, p.courtesy_used,
                g.plan_left, g.additional, g.bought, g.courtesy, w.held, w.debt,
                EXISTS (SELECT FROM credits_usagerollup r WHERE r.account_id = w.account_id)
            FROM credits_wallet w
            JOIN credits_creditperiod p ON p.account_id = w.account_id AND p.closed_at IS NULL
            JOIN credits_plan l ON l.slug = p.plan_id
            CROSS JOIN LATERAL (
                SELECT coalesce(sum(remaining) FILTER (WHERE kind IN (1, 2)), 0) AS plan_left,
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


class Place(NamedTuple):
    """Where a row stands: in the day, quarter or cut quarter that ends at `ends`, after `before` newer rows."""

    ends: datetime
    before: int


def usage_by_model(account_id: uuid.UUID, span: Span) -> list[ModelUsage]:
    """Sums per model over the span, most credits first: the Models view."""
    return _totals(account_id, span, skip=0, model=None)[0]


def usage_page(account_id: uuid.UUID, span: Span, *, page: int = 1, model: str | None = None) -> UsagePage:
    """One page (from 1) of a span's requests, newest first, of one model where one is named; two queries.

    A page beyond the last has no rows.
    """
    skip = PAGE_SIZE * (page - 1)
    models, place = _totals(account_id, span, skip=skip, model=model)
    count = sum(m.requests for m in models if model in (None, m.model))
    rows = _rows(account_id, span, skip=skip, place=place, model=model) if skip < count else []
    return UsagePage(models, count, rows)


SUMS = "requests, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, credits"

_PARTS = f"""
WITH parts AS (
    SELECT bucket + interval '1 day' AS ends, model_id, {SUMS} FROM credits_usagerollup
    WHERE account_id = %(account)s AND grain = 1440 AND bucket >= %(d1)s AND bucket < %(d2)s
    UNION ALL
    SELECT bucket + interval '15 minutes', model_id, {SUMS} FROM credits_usagerollup
    WHERE account_id = %(account)s AND grain = 15
        AND (bucket >= %(q1)s AND bucket < %(d1)s OR bucket >= %(d2)s AND bucket < %(q2)s)
    UNION ALL
    SELECT CASE WHEN occurred_at < %(q1)s THEN %(q1)s ELSE %(end)s END, model_id, 1, input_tokens, output_tokens,
        cache_read_tokens, cache_write_tokens, credits
    FROM credits_usageevent
    WHERE account_id = %(account)s
        AND (occurred_at >= %(start)s AND occurred_at < %(q1)s OR occurred_at >= %(q2)s AND occurred_at < %(end)s)
)
"""
_BY_MODEL = """
SELECT m.name, sum(requests) AS requests, sum(input_tokens)::bigint, sum(output_tokens)::bigint,
    sum(cache_read_tokens)::bigint, sum(cache_write_tokens)::bigint, sum(credits) AS credits
FROM parts JOIN credits_aimodel m ON m.id = parts.model_id
GROUP BY m.name
"""
_PLACE = """
SELECT ends, before FROM (
    SELECT ends, sum(requests) AS n, sum(sum(requests)) OVER (ORDER BY ends DESC) - sum(requests) AS before
    FROM parts WHERE TRUE {model} GROUP BY ends
) p WHERE before <= %(skip)s AND before + n > %(skip)s
"""
_OF_MODEL = "AND model_id = (SELECT id FROM credits_aimodel WHERE name = %(model)s)"


def _totals(
    account_id: uuid.UUID, span: Span, *, skip: int, model: str | None
) -> tuple[list[ModelUsage], Place | None]:
    """The sums, and for a far page or one model the place of the first row wanted, from one pass over the parts."""
    statement = f"{_PARTS} {_BY_MODEL}"
    if skip or model:
        place = _PLACE.replace("{model}", _OF_MODEL if model else "")
        statement = f"""{_PARTS}, by_model AS ({_BY_MODEL}), place AS ({place})
            SELECT * FROM by_model LEFT JOIN place ON TRUE"""
    with connection.cursor() as cursor:
        cursor.execute(
            f"{statement} ORDER BY credits DESC, name",
            {"account": account_id, "skip": skip, "model": model, **span.parts()},
        )
        rows = cursor.fetchall()
    place_of_row = rows[0][7:] if rows else ()
    return [ModelUsage(*row[:7]) for row in rows], Place(*place_of_row) if any(place_of_row) else None


def _rows(account_id: uuid.UUID, span: Span, *, skip: int, place: Place | None, model: str | None) -> list[UsageRow]:
    parameters = {"account": account_id, "model": model, "skip": skip, "size": PAGE_SIZE, **span.parts()}
    statement = _FIRST_PAGE
    if place:
        statement = _FAR_PAGE.replace("{model}", _OF_MODEL if model else "")
        parameters |= {"place_ends": place.ends, "before": place.before}
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [UsageRow(*row) for row in cursor.fetchall()]


_COLUMNS = "request_id, occurred_at, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, credits"
_ROW = """e.request_id, e.occurred_at, m.name, e.input_tokens, e.output_tokens, e.cache_read_tokens,
    e.cache_write_tokens, e.credits"""

_FIRST_PAGE = f"""
SELECT {_ROW}
FROM (
    SELECT model_id, {_COLUMNS} FROM credits_usageevent
    WHERE account_id = %(account)s AND occurred_at >= %(start)s AND occurred_at < %(end)s
    ORDER BY occurred_at DESC, request_id DESC LIMIT %(size)s
) e JOIN credits_aimodel m ON m.id = e.model_id
ORDER BY e.occurred_at DESC, e.request_id DESC
"""

# From the place on, the quarters that hold the page: at most the 96 of a day come before it, and 20 with a row in
# each are enough. Within a quarter rows are skipped in the index.
_FAR_PAGE = f"""
WITH quarters AS (
    (SELECT bucket AS starts, bucket + interval '15 minutes' AS ends, sum(requests) AS n FROM credits_usagerollup
    WHERE account_id = %(account)s AND grain = 15 AND bucket >= %(q1)s
        AND bucket < least(%(q2)s, %(place_ends)s::timestamptz) {{model}}
    GROUP BY bucket ORDER BY bucket DESC LIMIT 96 + %(size)s)
    UNION ALL
    SELECT %(q2)s, %(end)s, count(*) FROM credits_usageevent
    WHERE account_id = %(account)s AND occurred_at >= %(q2)s AND occurred_at < %(end)s
        AND %(end)s <= %(place_ends)s {{model}}
    UNION ALL
    SELECT %(start)s, %(q1)s, count(*) FROM credits_usageevent
    WHERE account_id = %(account)s AND occurred_at >= %(start)s AND occurred_at < %(q1)s {{model}}
), buckets AS (
    SELECT starts, ends, before FROM (
        SELECT starts, ends, n, %(before)s + sum(n) OVER (ORDER BY starts DESC) - n AS before
        FROM quarters WHERE n > 0
    ) q WHERE before < %(skip)s + %(size)s AND before + n > %(skip)s
)
SELECT {_ROW}
FROM buckets b CROSS JOIN LATERAL (
    SELECT model_id, {_COLUMNS} FROM credits_usageevent
    WHERE account_id = %(account)s AND occurred_at >= b.starts AND occurred_at < b.ends {{model}}
    ORDER BY occurred_at DESC, request_id DESC
    OFFSET greatest(%(skip)s - b.before, 0)::bigint LIMIT %(size)s
) e JOIN credits_aimodel m ON m.id = e.model_id
ORDER BY e.occurred_at DESC, e.request_id DESC LIMIT %(size)s
"""
