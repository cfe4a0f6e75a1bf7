"""Usage over time: sums between any moments, local midnights above all, as cheap as the rollups allow.

A local day is a day of UTC, but for the quarters of an hour between the two midnights: those are moved to the
neighbour they belong to. So a day costs its own sum and |offset| × 4 quarters, and all days add up to the span's
total exactly, because what one gains the other loses.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.db import connection

from credits.reports.spans import DAY, Span, day_of

NOON = timedelta(hours=12)


class Slice(NamedTuple):
    """Sums of one model between two cuts. `place` counts the slices from 0; those without requests are left out."""

    place: int
    model_id: int
    model: str
    requests: int
    credits: Decimal


def usage_between(account_id: uuid.UUID, cuts: Sequence[datetime], *, model: str | None = None) -> list[Slice]:
    """Sums per slice and model over [cuts[0], cuts[-1]), of one model where one is named, in order; one query.

    The first and the last cut may be any moments. Those between are whole quarters of an hour, as midnights are; else
    what was used in a quarter that is cut counts for the slice in which the quarter began.
    """
    parts = Span(cuts[0], cuts[-1]).parts()
    strays = _strays(cuts, parts["d1"], parts["d2"])
    with connection.cursor() as cursor:
        cursor.execute(
            _SLICES,
            {
                "account": account_id,
                "model": model,
                "cuts": list(cuts),
                "from": [first for first, _ in strays],
                "to": [last for _, last in strays],
                **parts,
            },
        )
        return [Slice(*row) for row in cursor.fetchall()]


def used_part(account_id: uuid.UUID, span: Span) -> Span | None:
    """The part of a span outside of which nothing was used, to the day of UTC; None where nothing was at all."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT min(bucket), max(bucket) FROM credits_usagerollup
            WHERE account_id = %s AND grain = 1440 AND bucket >= %s AND bucket < %s
            """,
            [account_id, day_of(span.start), span.end],
        )
        first, last = cursor.fetchone()
    return Span(max(span.start, first), min(span.end, last + DAY)) if first else None


def _strays(cuts: Sequence[datetime], start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The quarters [from, to) that lie on the other side of a cut than the noon of their day of UTC.

    Only of the whole days [start, end): what is read by quarters anyway is in the right slice already.
    """
    strays = []
    for cut in cuts:
        day = day_of(cut)
        if start < cut < end and cut != day:
            strays.append((day, cut) if cut <= day + NOON else (cut, day + DAY))
    return strays


# A day's sum stands at its noon; its strays are added where they lie, and taken off where their day stands. They are
# summed up first, by themselves: of a join of all their quarters PostgreSQL expects so much that it starts helpers.
_SLICES = """
WITH strays AS MATERIALIZED (
    SELECT start, sums.* FROM unnest(%(from)s::timestamptz[], %(to)s::timestamptz[]) AS stray(start, finish)
    CROSS JOIN LATERAL (
        SELECT model_id, sum(requests) AS requests, sum(credits) AS credits FROM credits_usagerollup
        WHERE account_id = %(account)s AND grain = 15 AND bucket >= start AND bucket < finish
        GROUP BY model_id
    ) AS sums
), parts AS (
    SELECT bucket + interval '12 hours' AS moment, model_id, requests, credits FROM credits_usagerollup
    WHERE account_id = %(account)s AND grain = 1440 AND bucket >= %(d1)s AND bucket < %(d2)s
    UNION ALL
    SELECT start, model_id, requests, credits FROM strays
    UNION ALL
    SELECT date_bin('1 day', start, to_timestamp(0)) + interval '12 hours', model_id, -requests, -credits FROM strays
    UNION ALL
    SELECT bucket, model_id, requests, credits FROM credits_usagerollup
    WHERE account_id = %(account)s AND grain = 15
        AND (bucket >= %(q1)s AND bucket < %(d1)s OR bucket >= %(d2)s AND bucket < %(q2)s)
    UNION ALL
    SELECT occurred_at, model_id, 1, credits FROM credits_usageevent
    WHERE account_id = %(account)s
        AND (occurred_at >= %(start)s AND occurred_at < %(q1)s OR occurred_at >= %(q2)s AND occurred_at < %(end)s)
)
SELECT width_bucket(moment, %(cuts)s::timestamptz[]) - 1 AS slice, m.id, m.name, sum(requests)::bigint, sum(credits)
FROM parts JOIN credits_aimodel m ON m.id = parts.model_id
WHERE %(model)s::text IS NULL OR m.name = %(model)s
GROUP BY slice, m.id, m.name HAVING sum(requests) > 0
ORDER BY slice, m.name
"""
