"""Numbered rows of a file, and the errors of one line and of a whole file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]


class BadLine(ValueError):
    """A line that can't be read as a request; the text is the reason."""


class Refused(ValueError):
    """A file, or options, with which nothing more is loaded. The text is a sentence for the operator."""


# None stands for a line that is no request, such as a message in the log of a session.
Numbered = tuple[int, Row | BadLine | None]

LINES = re.compile(r"(\d{1,12})(?:[-–](\d{1,12}))?")


def join_numbers(numbers: Iterable[int], most: int = 20) -> str:
    """Returns ascending numbers with their runs joined, as in `2, 7-9`; beyond `most` runs it says how many follow."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs[:most])
    more = sum(last - first + 1 for first, last in runs[most:])
    return f"{shown} and {more:,} more" if more else shown


def parse_numbers(text: str) -> list[range]:
    """Returns the numbers that such a text names. Raises `ValueError` for any other."""
    found = [LINES.fullmatch(part.strip()) for part in text.split(",")]
    if not all(found):
        raise ValueError(text)
    return [range(int(match[1]), int(match[2] or match[1]) + 1) for match in found if match]
