"""Which stretches of time the bars of a chart stand for: days of the account's zone, or weeks, months, years of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from credits.reports.spans import DAY, Span, midnight
from sidekick import formatting

# As many as can be told apart on a phone: the 90 days of a filter fit.
MOST_BARS = 100
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
    def of(cls, span: Span, zone: ZoneInfo) -> Bars:
        """The finest unit that keeps the bars few enough. The first and the last bar are cut where the span is."""
        for unit in UNITS:
            bars = cls.by(unit, span, zone)
            if len(bars.days) <= MOST_BARS:
                break
        return bars

    @classmethod
    def by(cls, unit: str, span: Span, zone: ZoneInfo) -> Bars:
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
        """What stands below a bar: 3 May, May 2026 or 2026."""
        first, _ = self.days[index]
        if self.unit == "year":
            return str(first.year)
        month = formatting.MONTHS[first.month]
        return f"{month} {first.year}" if self.unit == "month" else f"{first.day} {month}"


def _each(first: date, last: date, following: Callable[[date], date]) -> Iterator[date]:
    while first <= last:
        yield first
        first = following(first)
