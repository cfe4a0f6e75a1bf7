"""Counts and moments as exports write them. What may mean two things is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from credits.usage.files import values
from credits.usage.files.parsing.lines import BadLine

NINE = datetime(2026, 11, 22, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1200, 1200), (1200.0, 1200), ("1200", 1200), (" 1200 ", 1200), ("1200.0", 1200), ("1200.", 1200),
        ("1,200", 1200), ("12,345,678", 12_345_678), ("1,200.00", 1200), ("1,000", 1000), ("0", 0), ("0.000", 0),
        ("1200.000", 1200),
    ],
)  # fmt: skip
def test_counts_are_read(value: Any, expected: int) -> None:  # M10
    assert values.count(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        True, None, [], {}, 1.5, float("nan"), float("inf"), "", "-1", "+1", "1.5", "1,20", "1,2000", ",200", "1,",
        "12,34,567", "1e3", "0x10", "١٢", "1 200", "1_200", "9" * 50, "1.200",
        # One, or a thousand.
        "1.000", "12.000",
    ],
)  # fmt: skip
def test_anything_else_is_no_count(value: Any) -> None:  # M10
    with pytest.raises(BadLine):
        values.count(value)


def test_beside_semicolons_a_comma_may_begin_decimals() -> None:  # M10
    assert values.count("1,200", comma_decimals=True) == 1200
    assert values.count("1,000,000", comma_decimals=True) == 1_000_000
    assert values.count("1200", comma_decimals=True) == 1200
    for text in ("1,000", "12,000", "1.000", "1,5", "1200,0"):
        with pytest.raises(BadLine):
            values.count(text, comma_decimals=True)


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-22T09:00:00Z", "2026-11-22 09:00:00 UTC", "2026-11-22 09:00:00 Z", "2026-11-22 09:00:00UTC",
        "2026-11-22 09:00:00 gmt", "2026-11-22 09:00:00 +0000 UTC", "2026-11-22 10:00:00 +01:00",
        "2026-11-22T04:00:00", 1795338000, 1795338000.0, "1795338000", "1795338000.0", 1795338000000,
        "1795338000000", 1795338000000000, "1795338000000000000", " 1795338000 ",
    ],
)  # fmt: skip
def test_moments_are_read(value: Any) -> None:  # M10
    assert values.moment(value, ZoneInfo("America/New_York")) == NINE


def test_fractions_of_seconds_are_kept() -> None:  # M10
    assert values.moment(1795338000.25, UTC) == NINE.replace(microsecond=250_000)
    assert values.moment("1795338000123", UTC) == NINE.replace(microsecond=123_000)
    assert values.moment("1795338000.123456789", UTC) == NINE.replace(microsecond=123_456)


@pytest.mark.parametrize(
    "value",
    [
        None, True, [], "", "yesterday", "22/11/2026", "11/22/2026 9:00", 5, "5", -1795338000, 4.2e9, 1e30,
        float("nan"), "99999999999", "2026-11-22 09:00:00 PST", "2026-13-01",
    ],
)  # fmt: skip
def test_anything_else_is_no_moment(value: Any) -> None:  # M10
    with pytest.raises(BadLine):
        values.moment(value, UTC)
