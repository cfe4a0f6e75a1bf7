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
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
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


def test_days_and_times_are_short() -> None:
    moment = datetime(2026, 5, 3, 23, 59, 7, tzinfo=UTC).astimezone(ZoneInfo("Asia/Kathmandu"))
    assert (formatting.day(moment), formatting.clock(moment)) == ("4 May 2026", "05:44:07")


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
