"""CSV and its relatives: no line is lost, and none is made up."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import TextIO

from credits.usage.files.parsing.header import Header
from credits.usage.files.parsing.lines import BadLine, Numbered, Refused, Row

# Logs with whole prompts have cells far longer than the library's 128 KiB. More is a quote left open.
LONGEST_CELL = 16 * 2**20
UNCLOSED = "a quote is not closed"


def rows(text: TextIO, header: Header, reads_as_request: Callable[[Row], bool]) -> Iterator[Numbered]:
    """Yield the rows below the header, each with the number of its first line, from 1. Empty lines are passed over.

    After bad quoting all lines are bad: nothing says whether they are rows, or text of a value such as a prompt.
    A row of several lines is such a one if one of them `reads_as_request`: a quote left open took it with it.
    """
    csv.field_size_limit(LONGEST_CELL)
    lines = _Lines(text)
    # `strict` reports a quote that never ends, instead of taking the rest of the file for one value.
    reader = csv.reader(lines, delimiter=header.delimiter, strict=True)
    below = False
    while True:
        number = lines.next_record()
        values: list[str] = []
        reason = ""
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = _reason(error)
        if not below:
            if reason:
                raise Refused(f"The header can't be read: {reason}.")
            # Lines before the header may be empty.
            below = bool(values)
            continue
        fits = not values or len(values) == len(header.names)
        miscounted = "" if fits else f"{len(values)} values for {len(header.names)} columns"
        if reason := reason or _damage(lines, header, miscounted, reads_as_request):
            yield number, BadLine(reason)
            yield from lines.below()
            return
        if miscounted:
            yield number, BadLine(miscounted)
        elif values:
            yield number, dict(zip(header.names, values, strict=True))


def _damage(lines: _Lines, header: Header, miscounted: str, reads_as_request: Callable[[Row], bool]) -> str:
    """Returns why a row of several lines may be more than one, "" where it is one."""
    first, *further = lines.taken
    if further and miscounted:
        return f"{UNCLOSED}, or {miscounted}"

    def is_row(line: str, *, raw: bool = False) -> bool:
        reader = csv.reader([line], delimiter=header.delimiter, quoting=csv.QUOTE_NONE if raw else csv.QUOTE_MINIMAL)
        values = next(reader, [])
        return len(values) == len(header.names) and reads_as_request(dict(zip(header.names, values, strict=True)))

    for number, line in enumerate(further, start=lines.number + 1):
        # The last line of a row whose first value has several looks like a row, but then its first line does not.
        ends = number == lines.number + len(further)
        if is_row(line) and (not ends or is_row(first) or is_row(first, raw=True)):
            return f"{UNCLOSED}. If line {number} is text of its value, save the file as JSON"
    return ""


@dataclass(slots=True)
class _Lines:
    """Lines with their numbers; `taken` are those of the record that is read."""

    text: TextIO
    number: int = 1
    taken: list[str] = field(default_factory=list)

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self.text)
        self.taken.append(line)
        return line

    def next_record(self) -> int:
        """Returns the number of the line that comes next."""
        self.number += len(self.taken)
        self.taken.clear()
        return self.number

    def below(self) -> Iterator[Numbered]:
        """Yield all lines below the first of this record as bad ones."""
        bad = BadLine(f"not read, because after the bad quoting of line {self.number} it may be text of a value")
        for number, line in enumerate(chain(self.taken[1:], self.text), start=self.number + 1):
            if line.strip():
                yield number, bad


def _reason(error: csv.Error) -> str:
    text = str(error)
    open_quote = text == "unexpected end of data" or text.startswith("field larger")
    return UNCLOSED if open_quote else f"bad quoting, {text}"
