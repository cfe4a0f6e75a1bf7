"""Numbers and moments in words."""

from __future__ import annotations

import csv
import io
import re
import sys
import time
import unicodedata
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidekick import formatting
from sidekick.formatting import csv_safe

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


SMALL = st.decimals(-(10**4), 10**4, places=6) | st.decimals("-0.02", "0.02", places=6)


def counted(shown: str) -> Decimal:
    """A figure as it counts in the sum of its column: what is less than a hundredth counts as nothing."""
    return Decimal(0) if "<" in shown else value(shown)


@given(parts=st.lists(SMALL, max_size=130))
@example(parts=[Decimal("0.333330")] * 3)
@example(parts=[Decimal("0.045740")] * 127)
@example(parts=[Decimal("0.003")] * 3)
@example(parts=[Decimal("5.008"), Decimal(-5)])
def test_rounded_parts_add_up_to_their_total_as_shown(parts: list[Decimal]) -> None:  # C4
    shown = formatting.adding_up(parts)
    assert sum(map(counted, shown)) == counted(formatting.credits(sum(parts, Decimal(0))))
    for part, text in zip(parts, shown, strict=True):
        assert abs(counted(text) - part) < Decimal("0.01")
        assert ("<" in text) <= (0 < abs(part) < Decimal("0.01"))
        assert (text == "0.00") == (part == 0)
    in_order = [counted(text) for _, text in sorted(zip(parts, shown, strict=True), key=lambda pair: pair[0])]
    distinct = sorted(set(parts))
    for less, more in pairwise(distinct):
        assert max(counted(t) for p, t in zip(parts, shown, strict=True) if p == less) <= min(
            counted(t) for p, t in zip(parts, shown, strict=True) if p == more
        )
    assert len(in_order) == len(parts)


@given(rows=st.lists(st.lists(SMALL, min_size=1, max_size=7), min_size=1, max_size=20))
def test_rows_of_parts_add_up_to_their_rows_and_those_to_the_total(rows: list[list[Decimal]]) -> None:  # C6
    sums = formatting.rounded_parts([sum(row, Decimal(0)) for row in rows])
    assert sum(sums) == counted(formatting.credits(sum((sum(row, Decimal(0)) for row in rows), Decimal(0))))
    for row, to in zip(rows, sums, strict=True):
        assert sum(map(counted, formatting.adding_up(row, to=to))) == to


@given(parts=st.lists(st.decimals(0, 10**6, places=6), min_size=1, max_size=130))
@example(parts=[Decimal(1)] * 3)
@example(parts=[Decimal(1)] * 127)
@example(parts=[Decimal(10**6), Decimal("0.000001")])
@example(parts=[Decimal(-1), Decimal(4)])
def test_shares_add_up_to_a_hundred(parts: list[Decimal]) -> None:  # C4
    total, shown = sum(parts, Decimal(0)), formatting.shares(parts)
    if not total:
        assert shown == ["–"] * len(parts)
        return
    assert sum(counted(text.removesuffix("%")) for text in shown) == 100
    for part, text in zip(parts, shown, strict=True):
        exact = Fraction(part) * 100 / Fraction(total)
        assert abs(Fraction(counted(text.removesuffix("%"))) - exact) < Fraction(1, 10)
        assert (text == "0.0%") == (part == 0)


def test_a_share_of_nothing_is_none() -> None:  # C4
    assert formatting.shares([]) == []
    assert formatting.shares([Decimal(0), Decimal(0)]) == ["–", "–"]
    assert formatting.shares([Decimal(5), Decimal(-5)]) == ["–", "–"]
    assert formatting.shares([Decimal(3), Decimal(0)]) == ["100.0%", "0.0%"]
    assert formatting.shares([Decimal(10**5), Decimal(1)]) == ["100.0%", "<0.1%"]


def test_a_total_that_no_rounded_parts_add_up_to_is_refused() -> None:
    with pytest.raises(ValueError, match="rounded"):
        formatting.adding_up([Decimal("0.333")] * 3, to=Decimal("1.03"))


def test_days_and_times_are_short() -> None:
    moment = datetime(2026, 5, 3, 23, 59, 7, tzinfo=UTC).astimezone(ZoneInfo("Asia/Kathmandu"))
    assert (formatting.day(moment), formatting.clock(moment)) == ("4 May 2026", "05:44:07")


@pytest.mark.parametrize(
    ("moment", "zone", "shown"),
    [
        ("2026-10-25T00:30:07Z", "Europe/Berlin", "02:30:07 +02:00"),
        ("2026-10-25T01:30:07Z", "Europe/Berlin", "02:30:07 +01:00"),
        ("2026-10-24T23:59:59Z", "Europe/Berlin", "01:59:59"),
        ("2026-10-25T02:00:00Z", "Europe/Berlin", "03:00:00"),
        ("2026-11-01T05:30:00Z", "America/New_York", "01:30:00 -04:00"),
        ("2026-11-01T06:30:00Z", "America/New_York", "01:30:00 -05:00"),
        ("2026-04-04T14:45:00Z", "Australia/Lord_Howe", "01:45:00 +11:00"),
        ("2026-04-04T15:15:00Z", "Australia/Lord_Howe", "01:45:00 +10:30"),
        ("2026-03-29T00:59:59Z", "Europe/Berlin", "01:59:59"),
        ("2026-03-29T01:00:00Z", "Europe/Berlin", "03:00:00"),
        ("2026-10-25T01:30:00Z", "UTC", "01:30:00"),
    ],
)
def test_an_hour_that_comes_twice_shows_its_offset(moment: str, zone: str, shown: str) -> None:  # C3
    local = datetime.fromisoformat(moment).astimezone(ZoneInfo(zone))
    assert formatting.clock(local) == shown
    assert formatting.clock(local, seconds=False) == shown[:5] + shown[8:]


FORMULAS = [
    "=1",
    "=1+1",
    "+1",
    "-1",
    "@x",
    "@a",
    "\ta",
    "\ra",
    "\n=1",
    "\t=1",
    "\r=1",
    " =1+1",
    "  \u00a0@x",
    " \t=1",
    "a;=cmd()",
    "a\n=1",
    "a\n\n \n=1",
    "＝1",
    "﹦1",
    "x|+1",
    "a,;\t-1",
    'a;"=1+1&"',
    "\u2060=1",
    "\u202e\u200b +1",
    "a;\u2060=1",
]
HARMLESS = ["", "a=1", "1", "1-2", "'=1", " x", "gpt-5", "claude=x", "req_01J-9", "a@b", "1,5", 'quo"te', "ünï", "a;b"]
HARMLESS += ["new\nline", "\u2060x", "a; b", "a;'=1"]
# Space, controls and characters that no screen shows, as Unicode counts them.
UNSEEN = [
    *(n for n in range(sys.maxunicode + 1) if unicodedata.category(chr(n)) in {"Zs", "Zl", "Zp", "Cc", "Cf"}),
    *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x2800, 0x3164, 0xFE0F, 0xFFA0, 0xE0100),
]


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet may run it, which skips what nobody sees."""
    seen = "".join(character for character in cell if ord(character) not in UNSEEN).lstrip('"')
    return seen.startswith(tuple("=+-@＝＋－＠﹦﹢﹣﹫"))


@pytest.mark.parametrize("cell", FORMULAS)
def test_a_formula_is_defused(cell: str) -> None:  # C7 F6
    """In a file of commas, and in one that a spreadsheet of another country takes apart at semicolons."""
    safe = csv_safe(cell)
    assert safe != cell
    assert safe.replace("'", "") == cell
    assert not is_formula(safe)
    assert not any(map(is_formula, re.split(r"[;|\t\r\n]", safe)))


@pytest.mark.parametrize("cell", HARMLESS)
def test_what_is_no_formula_stays(cell: str) -> None:  # C7 F6
    assert csv_safe(cell) == cell


def test_nothing_unseen_hides_a_formula() -> None:  # C7 F6
    for place in ("{}=1", "  {}=1", "{}\u200b=1", "a;{}=1"):
        cells = {hex(number): place.format(chr(number)) for number in UNSEEN}
        assert [number for number, cell in cells.items() if csv_safe(cell).count("'") == 0] == []


@given(amount=AMOUNTS)
def test_numbers_stay_exact_numbers_in_a_file(amount: Decimal) -> None:  # C7
    line = io.StringIO()
    csv.writer(line).writerow(map(csv_safe, [amount, -1, "-1"]))
    written, one, text = next(csv.reader(io.StringIO(line.getvalue())))
    assert (Decimal(written), one, text) == (amount, "-1", "'-1")


@given(cell=st.text('=+-@;|\t\r\n "x\u2060', max_size=12))
def test_no_text_runs_as_a_formula(cell: str) -> None:  # C7 F6
    safe = csv_safe(cell)
    assert not any(map(is_formula, [safe, *re.split(r"[;|\t\r\n]", safe)]))
    assert safe.replace("'", "") == cell


def test_a_long_text_of_nothing_is_looked_through_in_no_time() -> None:
    began = time.perf_counter()
    csv_safe("\n \t;" * 50_000)
    assert time.perf_counter() - began < 1
