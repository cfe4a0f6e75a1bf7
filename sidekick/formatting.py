"""Numbers and moments as people read them. Templates get finished strings: formatting cell by cell there is slow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import floor
from typing import TypeVar

from sidekick.text import INVISIBLE

T = TypeVar("T")
CENT = Decimal("0.01")
MINUS = "−"
NO_BREAK = "\u00a0"
# Spreadsheets skip these before a formula, or nobody sees them there. The quotation mark is among them: a file taken
# apart at semicolons reads one inside a cell as an empty quotation.
SKIPPED = rf'"{INVISIBLE}'
# With their full-width and small forms.
SIGNS = r"=+@\-\uff1d\uff0b\uff20\uff0d\ufe66\ufe62\ufe6b\ufe63"
FORMULA_FIRST = rf"^(?=[\t\r\n]|[\t\r\n{SKIPPED}]*[{SIGNS}])"
# Where a comma is part of a number, spreadsheets separate cells by semicolons.
FORMULA_FURTHER = rf"([;|\t\r\n])(?=[{SKIPPED}]*[{SIGNS}])"
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


def rounded_parts(parts: Sequence[Decimal], *, to: Decimal | None = None) -> list[Decimal]:
    """The parts in hundredths, by largest remainder: they add up to `to`, and each differs by less than a hundredth.

    `to` is their sum as shown, where it is not `credits` of it: the sum rounded up or down, as a part of another list.
    A sum that is shown as "<0.01" counts as nothing. A larger part is never shown as less than a smaller one; of equal
    parts the first ones get what is over. Raises `ValueError` where no such parts add up to `to`.
    """
    if to is None:
        total = sum(parts, Decimal(0))
        to = total.quantize(CENT, ROUND_HALF_UP) if abs(total) >= CENT else Decimal(0)
    hundredths = _add_up([part.scaleb(2) for part in parts], int(to.scaleb(2)))
    return [Decimal(number).scaleb(-2) for number in hundredths]


def adding_up(parts: Sequence[Decimal], *, to: Decimal | None = None) -> list[str]:
    """`rounded_parts` as shown. A part that is something and rounded to nothing is "<0.01", and counts as nothing."""
    return [part_of(part, rounded) for part, rounded in zip(parts, rounded_parts(parts, to=to), strict=True)]


def part_of(part: Decimal, rounded: Decimal) -> str:
    """A part of a sum as shown, given its rounded figure."""
    return credits(rounded if rounded else part)


def shares(parts: Sequence[Decimal]) -> list[str]:
    """Each part in percent of their sum, with one decimal: they add up to 100.0 %, as `rounded_parts` do.

    "–" where the sum is nothing: there are no shares of it.
    """
    total = Fraction(sum(parts, Decimal(0)))
    if not total:
        return ["–"] * len(parts)
    tenths = _add_up([Fraction(part) * 1000 / total for part in parts], 1000)
    return [
        f"{MINUS if number < 0 else ''}{abs(number) / 10:.1f}%" if number or not part else "<0.1%"
        for part, number in zip(parts, tenths, strict=True)
    ]


def _add_up(parts: Sequence[Decimal | Fraction], to: int) -> list[int]:
    """Whole numbers that add up to `to`: all parts rounded down, then those with the largest remainders up."""
    numbers = [floor(part) for part in parts]
    by_remainder = sorted(
        (place for place, part in enumerate(parts) if part != numbers[place]),
        key=lambda place: numbers[place] - parts[place],
    )
    over = to - sum(numbers)
    if not 0 <= over <= len(by_remainder):
        raise ValueError(f"The parts, rounded, do not add up to {to}.")
    for place in by_remainder[:over]:
        numbers[place] += 1
    return numbers


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


def clock(moment: datetime, *, seconds: bool = True) -> str:
    """The time of an aware moment; in the hour that a zone repeats when clocks go back, with its offset."""
    shown = f"{moment.hour:02}:{moment.minute:02}" + (f":{moment.second:02}" if seconds else "")
    if moment.utcoffset() == moment.replace(fold=1 - moment.fold).utcoffset():
        return shown
    # Files show the offset, too: an abbreviation such as CST means one offset to some and another to others.
    return f"{shown} {moment.isoformat()[-6:]}"


def spaced(name: str) -> str:
    """A name for places where browsers show several spaces as one, and none at the ends: those don't break."""
    return re.sub(r"^ | $|(?<= ) | (?= )", NO_BREAK, name)


def csv_safe(cell: T) -> T | str:
    """A cell of a CSV file that no spreadsheet runs as a formula: text gets an apostrophe before each sign of one.

    Numbers and dates are ours and stay what they are, negative numbers too. Text is guarded wherever it may begin a
    cell (https://owasp.org/www-community/attacks/CSV_Injection). SQL that does the same uses the same two expressions.
    """
    if not isinstance(cell, str):
        return cell
    return re.sub(FORMULA_FURTHER, r"\1'", re.sub(FORMULA_FIRST, "'", cell))
