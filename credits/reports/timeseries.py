"""Usage over time: sums between any moments, local midnights above all, as cheap as the rollups allow.

A local day is a day of UTC, but for the quarters of an hour between the two midnights: those are moved to the
neighbour they belong to. So a day costs its own sum and |offset| × 4 quarters, and all days add up to the span's
total exactly, because what one gains the other loses.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.db import connection

from credits.models import UsageRollup
from credits.reports.spans import DAY, GRAINS, Span, day_of, midnight
from sidekick import formatting

NOON = timedelta(hours=12)
# More can't be told apart on a phone; the 90 days of a filter fit.
MOST_BARS = 100
# The first day after the unit that a day lies in.
UNITS: dict[str, Callable[[date], date]] = {
    "day": lambda day: day + DAY,
    "week": lambda day: day + timedelta(days=7 - day.weekday()),
    "month": lambda day: (day.replace(day=1) + timedelta(days=31)).replace(day=1),
    "year": lambda day: date(day.year + 1, 1, 1),
}


@dataclass(frozen=True, slots=True)
class Bars:
    """`cuts` are moments of UTC, one more than there are bars; `days` the first and the last day of each bar."""

    unit: str
    cuts: list[datetime]
    days: list[tuple[date, date]]

    @classmethod
    def for_span(cls, span: Span, zone: ZoneInfo) -> Bars:
        """The finest unit that keeps the bars few enough. The first and the last bar are cut where the span is."""
        for unit in UNITS:
            bars = cls.of_unit(unit, span, zone)
            if len(bars.days) <= MOST_BARS:
                break
        return bars

    @classmethod
    def of_unit(cls, unit: str, span: Span, zone: ZoneInfo) -> Bars:
        first, last = span.days(zone)
        starts = list(_each(first, last, UNITS[unit]))
        cuts = [span.start, *(midnight(day, zone) for day in starts[1:]), span.end]
        ends = [*(day - DAY for day in starts[1:]), last]
        return cls(unit, cuts, list(zip(starts, ends, strict=True)))

    def name(self, index: int) -> str:
        """3 May 2026; 4 – 10 May 2026; May 2026; 2026."""
        first, last = self.days[index]
        if UNITS["year"](first) == last + DAY and first.replace(month=1, day=1) == first:
            return str(first.year)
        if UNITS["month"](first) == last + DAY and first.day == 1:
            return f"{formatting.MONTHS[first.month]} {first.year}"
        return formatting.days(first, last)

    def tick(self, index: int) -> str:
        """The label below a bar: 3 May, May 2026 or 2026."""
        first, _ = self.days[index]
        if self.unit == "year":
            return str(first.year)
        month = formatting.MONTHS[first.month]
        return f"{month} {first.year}" if self.unit == "month" else f"{first.day} {month}"


class Slice(NamedTuple):
    """Sums of one model between two cuts. `place` counts the slices from 0; those without requests are left out."""

    place: int
    model_id: int
    model: str
    requests: int
    credits: Decimal


def usage_between(account_id: uuid.UUID, cuts: Sequence[datetime], *, model: str | None = None) -> list[Slice]:
    """Sums per slice and model over [cuts[0], cuts[-1]), of one model where one is named, in order; one query.

    The first and the last cut may be any moments. The cuts between should be whole quarters of an hour, as midnights
    are: usage of a quarter that is cut counts in the slice in which the quarter began.
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
                **GRAINS,
            },
        )
        return [Slice(*row) for row in cursor.fetchall()]


def used_part(account_id: uuid.UUID, span: Span) -> Span | None:
    """The part of a span that has usage, to the day of UTC; None where nothing was used. One query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT min(bucket), max(bucket) FROM credits_usagerollup
            WHERE account_id = %s AND grain = %s AND bucket >= %s AND bucket < %s
            """,
            [account_id, UsageRollup.Grain.DAY, day_of(span.start), span.end],
        )
        first, last = cursor.fetchone()
    return Span(max(span.start, first), min(span.end, last + DAY)) if first else None


def _each(first: date, last: date, following: Callable[[date], date]) -> Iterator[date]:
    while first <= last:
        yield first
        first = following(first)


def _strays(cuts: Sequence[datetime], start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The quarters [from, to) that lie on the other side of a cut than the noon of their day of UTC."""
    strays = []
    for cut in cuts:
        day = day_of(cut)
        # Only of the whole days [start, end): what is read by quarters anyway is in the right slice already.
        if start < cut < end and cut != day:
            strays.append((day, cut) if cut <= day + NOON else (cut, day + DAY))
    return strays


# A day's sum counts at its noon; its strays are added where they lie and subtracted at that noon. Materialized, because
# PostgreSQL overestimates a join of all their quarters and would start parallel workers for it.
_SLICES = """
WITH strays AS MATERIALIZED (
    SELECT start, sums.* FROM unnest(%(from)s::timestamptz[], %(to)s::timestamptz[]) AS stray(start, finish)
    CROSS JOIN LATERAL (
        SELECT model_id, sum(requests) AS requests, sum(credits) AS credits FROM credits_usagerollup
        WHERE account_id = %(account)s AND grain = %(quarter)s AND bucket >= start AND bucket < finish
        GROUP BY model_id
    ) AS sums
), parts AS (
    SELECT bucket + interval '12 hours' AS moment, model_id, requests, credits FROM credits_usagerollup
    WHERE account_id = %(account)s AND grain = %(day)s AND bucket >= %(d1)s AND bucket < %(d2)s
    UNION ALL
    SELECT start, model_id, requests, credits FROM strays
    UNION ALL
    SELECT date_bin('1 day', start, to_timestamp(0)) + interval '12 hours', model_id, -requests, -credits FROM strays
    UNION ALL
    SELECT bucket, model_id, requests, credits FROM credits_usagerollup
    WHERE account_id = %(account)s AND grain = %(quarter)s
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
