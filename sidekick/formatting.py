"""Numbers and moments as people read them. Templates get finished strings: formatting cell by cell there is slow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
MINUS = "−"
MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def credits(amount: Decimal) -> str:
    """Two decimals; an amount that would round to nothing is "<0.01" (M6)."""
    if 0 < amount < CENT:
        return "<0.01"
    if amount < 0:
        return MINUS + credits(-amount)
    return f"{amount.quantize(CENT, ROUND_HALF_UP):,}"


def exact(amount: Decimal) -> str:
    """Every decimal that is not a trailing zero, and two at least."""
    whole, _, decimals = f"{abs(amount):,.6f}".partition(".")
    return (MINUS if amount < 0 else "") + whole + "." + decimals.rstrip("0").ljust(2, "0")


def change(amount: Decimal) -> str:
    """`credits` with its sign, for what was added to a balance or taken from it."""
    return f"+{credits(amount)}" if amount > 0 else credits(amount)


def sum_of(total: Decimal, parts: Mapping[str, Decimal]) -> list[tuple[str, str]]:
    """Names and amounts of the parts that are not nothing, which add up to the total as shown.

    Where rounding would make the sum look wrong by a hundredth, the parts are shown exactly.
    """
    rounded = [part.quantize(CENT, ROUND_HALF_UP) for part in parts.values()]
    tidy = sum(rounded) == total.quantize(CENT, ROUND_HALF_UP) and not any(0 < abs(p) < CENT for p in parts.values())
    return [(name, credits(part) if tidy else exact(part)) for name, part in parts.items() if part]


def day(moment: date) -> str:
    return f"{moment.day} {MONTHS[moment.month]} {moment.year}"


def days(first: date, last: date) -> str:
    """3 May 2026; 4 – 10 May 2026; 28 Apr – 4 May 2026."""
    if first == last:
        return day(first)
    since = day(first).removesuffix(f" {last.year}")
    if (first.year, first.month) == (last.year, last.month):
        since = str(first.day)
    return f"{since} – {day(last)}"


def clock(moment: datetime) -> str:
    return f"{moment.hour:02}:{moment.minute:02}:{moment.second:02}"
