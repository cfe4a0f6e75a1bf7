"""Usage as screens and the API read it: sums by model, and any page of requests.

Totals and far pages come from the rollups, and a page reads its 20 rows from the index. Nothing counts or skips
requests one by one, so page 5,000 costs what page 1 costs.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from django.db import connection

from credits.models import UsageRollup
from credits.reports.spans import GRAINS, Span
from sidekick.web.pagination import PAGE_SIZE


class ModelUsage(NamedTuple):
    """Sums of one model over a span."""

    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    credits: Decimal

    @classmethod
    def sum_of(cls, parts: Sequence[ModelUsage], *, name: str) -> ModelUsage:
        figures = [sum(column) for column in list(zip(*parts, strict=True))[1:]] or [0] * 6
        return cls(name, *figures)


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
    """A span's sums per model, most credits first; the number of requests that match; the requests of one page."""

    models: list[ModelUsage]
    count: int
    rows: list[UsageRow]


def usage_by_model(account_id: uuid.UUID, span: Span) -> list[ModelUsage]:
    """Sums per model over the span, most credits first; one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_PARTS} SELECT * FROM by_model ORDER BY credits DESC, name",
            {"account": account_id, **span.parts(), **GRAINS},
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
                **GRAINS,
            },
        )
        answer = cursor.fetchall()
    totals = [ModelUsage(name, *figures) for request_id, _, name, *figures in answer if request_id is None]
    # The statement orders by moment, and the totals have none.
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


def has_usage(account_id: uuid.UUID) -> bool:
    """Whether the account ever made a request."""
    return UsageRollup.objects.filter(account=account_id).exists()


@cache
def _statement(*, far: bool, of_model: bool) -> str:
    # Without its indentation: psycopg remembers how to bind a statement only below 4,096 characters.
    statement = _PARTS + (_FAR_PAGE if far else _FIRST_PAGE) + _TOTALS_AND_ROWS
    return " ".join(statement.replace("{model}", _OF_MODEL if of_model else "").split())


_SUMS = "requests, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, credits"
_COLUMNS = "request_id, occurred_at, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, credits"
_OF_MODEL = "AND model_id = (SELECT id FROM credits_aimodel WHERE name = %(model)s)"

# The parts that a span is made of (see `spans`), and their sums by model.
_PARTS = f"""
WITH parts AS (
    SELECT bucket + interval '1 day' AS ends, model_id, {_SUMS} FROM credits_usagerollup
    WHERE account_id = %(account)s AND grain = %(day)s AND bucket >= %(d1)s AND bucket < %(d2)s
    UNION ALL
    SELECT bucket + interval '15 minutes', model_id, {_SUMS} FROM credits_usagerollup
    WHERE account_id = %(account)s AND grain = %(quarter)s
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
    WHERE account_id = %(account)s AND grain = %(quarter)s AND bucket >= %(q1)s AND bucket < %(q2)s
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
