"""Bars of a chart: days of the account's zone, or weeks, months and years of it."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from credits.reports.spans import Span
from credits.reports.timeseries import MOST_BARS, Bars


@pytest.mark.parametrize(
    ("first", "last", "unit", "count", "name"),
    [
        ("2026-05-10", "2026-05-10", "day", 1, "10 May 2026"),
        ("2026-02-10", "2026-05-10", "day", 90, "10 Feb 2026"),
        ("2025-05-11", "2026-05-10", "week", 53, "11 May 2025"),
        ("2025-05-12", "2026-05-10", "week", 52, "12 – 18 May 2025"),
        ("2022-01-15", "2026-05-10", "month", 53, "15 – 31 Jan 2022"),
        ("2022-01-01", "2026-05-10", "month", 53, "Jan 2022"),
        ("2001-01-01", "2026-05-10", "year", 26, "2001"),
        ("2001-12-30", "2026-05-10", "year", 26, "30 – 31 Dec 2001"),
    ],
)
def test_a_long_range_has_broader_bars(first: str, last: str, unit: str, count: int, name: str) -> None:  # C6
    zone = ZoneInfo("America/New_York")
    span = Span.for_days(date.fromisoformat(first), date.fromisoformat(last), zone)
    bars = Bars.for_span(span, zone)
    assert (bars.unit, len(bars.days), bars.name(0)) == (unit, count, name)
    assert len(bars.days) <= MOST_BARS
    assert (bars.cuts[0], bars.cuts[-1]) == (span.start, span.end)
    assert bars.cuts == sorted(bars.cuts)
    assert bars.days[0][0] == date.fromisoformat(first)
    assert bars.days[-1][1] == date.fromisoformat(last)
