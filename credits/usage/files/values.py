"""Texts and numbers of files, read as counts of tokens and as moments. Ambiguous ones are refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

from credits.usage.files.parsing.lines import BadLine

WHOLE = re.compile(r"(\d+|\d{1,3}(?:,\d{3})+)(?:\.0*)?", re.ASCII)
# 1.000 is 1 where a point begins the decimals and 1,000 where it groups digits; 1,000 likewise beside semicolons.
AMBIGUOUS = re.compile(r"[1-9]\d{0,2}\.000", re.ASCII)
AMBIGUOUS_BESIDE_SEMICOLONS = re.compile(r"[1-9]\d{0,2}[.,]000", re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NUMBER = re.compile(r"\d{9,19}(?:\.\d+)?", re.ASCII)
# Seconds, milliseconds, microseconds and nanoseconds: of the years from 2000 to 2100 no two overlap.
UNITS = tuple(Decimal(10) ** power for power in (0, 3, 6, 9))
FROM, TO = 946_684_800, 4_102_444_800
UTC_IN_WORDS = re.compile(r"\s*(?:UTC|GMT)$|\s+Z$", re.IGNORECASE)
SPACE_BEFORE_OFFSET = re.compile(r"\s+(?=[+-]\d\d:?\d\d$)")


def is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def count(value: Any, *, comma_decimals: bool = False) -> int:
    """Returns a number of tokens: `1200`, `1200.0` and `1,200` alike. Raises `BadLine` for any other value.

    `comma_decimals` says that a comma may begin decimals, as in files separated by semicolons.
    """
    # JSON's true and false are integers in Python.
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, float) and value.is_integer() and value >= 0:
        return int(value)
    if isinstance(value, str) and len(value) < 40:
        text = value.strip()
        if (AMBIGUOUS_BESIDE_SEMICOLONS if comma_decimals else AMBIGUOUS).fullmatch(text):
            raise BadLine(f"{value!r} may be {text[:-4]} or {text[:-4]} thousand tokens")
        if match := WHOLE.fullmatch(text):
            return int(match[1].replace(",", ""))
    raise BadLine(f"{value!r} is no count of tokens")


def moment(value: Any, zone: tzinfo) -> datetime:
    """Returns a moment from ISO 8601, or seconds, milliseconds, microseconds or nanoseconds since 1970.

    Without an offset or `UTC` it is one of `zone`. Raises `BadLine` for any other value.
    """
    number = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if isinstance(number, str) and NUMBER.fullmatch(number.strip()):
        return _since_epoch(number.strip())
    if not isinstance(value, str):
        raise BadLine(f"{value!r} is no moment")
    text = value.strip()
    in_utc = UTC_IN_WORDS.search(text)
    try:
        found = datetime.fromisoformat(SPACE_BEFORE_OFFSET.sub("", UTC_IN_WORDS.sub("", text)))
    except ValueError:
        raise BadLine(f"{value!r} is no moment") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC if in_utc else zone)


def _since_epoch(number: str) -> datetime:
    try:
        seconds = next(s for unit in UNITS if FROM <= (s := Decimal(number) / unit) < TO)
    except (StopIteration, InvalidOperation):
        raise BadLine(f"{number!r} is no moment between 2000 and 2100") from None
    return EPOCH + timedelta(microseconds=int(seconds * 1_000_000))
