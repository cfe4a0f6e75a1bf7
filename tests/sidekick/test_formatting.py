"""Numbers and moments in words."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidekick import formatting

AMOUNTS = st.decimals(-(10**13), 10**13, places=6)


def value(text: str) -> Decimal:
    return Decimal(text.replace(",", "").replace("−", "-"))


@pytest.mark.parametrize(
    ("amount", "shown", "exact"),
    [
        ("0", "0.00", "0.00"),
        ("0.000001", "<0.01", "0.000001"),
        ("0.009999", "<0.01", "0.009999"),
        ("0.01", "0.01", "0.01"),
        ("0.005", "<0.01", "0.005"),
        ("1.005", "1.01", "1.005"),
        ("1.004999", "1.00", "1.004999"),
        ("-0.001", "−<0.01", "−0.001"),
        ("-1234.5", "−1,234.50", "−1,234.50"),
        ("987654321.123456", "987,654,321.12", "987,654,321.123456"),
        ("12345678901234.567890", "12,345,678,901,234.57", "12,345,678,901,234.56789"),
    ],
)
def test_two_decimals_on_screen_and_all_where_it_counts(amount: str, shown: str, exact: str) -> None:  # M6
    assert formatting.credits(Decimal(amount)) == shown
    assert formatting.exact(Decimal(amount)) == exact


@given(amount=AMOUNTS)
def test_nothing_is_lost_in_the_exact_figure(amount: Decimal) -> None:  # M6
    assert value(formatting.exact(amount)) == amount
    assert re.fullmatch(r"−?\d{1,3}(,\d{3})*\.\d{2,6}", formatting.exact(amount))


@given(amount=AMOUNTS)
def test_what_is_something_never_looks_like_nothing(amount: Decimal) -> None:  # M6
    shown = formatting.credits(amount)
    if "<" in shown:
        assert 0 < abs(amount) < Decimal("0.01")
    else:
        assert value(shown) == amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
        assert amount == 0 or value(shown) != 0


@given(parts=st.lists(st.decimals(0, 10**6, places=6), min_size=1, max_size=5))
def test_parts_add_up_to_their_total_as_shown(parts: list[Decimal]) -> None:  # C1
    total = sum(parts, Decimal(0))
    listed = formatting.sum_of(total, {f"part {number}": part for number, part in enumerate(parts)})
    shown = sum((value(amount) for _, amount in listed), Decimal(0))
    assert shown == total or shown == total.quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert len(listed) == sum(part != 0 for part in parts)
    assert not any("<" in amount for _, amount in listed)


def test_days_and_times_are_short() -> None:
    moment = datetime(2026, 5, 3, 23, 59, 7, tzinfo=UTC).astimezone(ZoneInfo("Asia/Kathmandu"))
    assert (formatting.day(moment), formatting.clock(moment)) == ("4 May 2026", "05:44:07")
