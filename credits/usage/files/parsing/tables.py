"""CSV and its relatives: a damaged record costs its own line only."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TextIO

from credits.usage.files.parsing.header import Header
from credits.usage.files.parsing.lines import BadLine, Numbered, Refused

# Logs with whole prompts have cells far longer than the library's 128 KiB. More is a quote left open.
LONGEST_CELL = 16 * 2**20
UNCLOSED = "a quote is not closed"


def rows(text: TextIO, header: Header) -> Iterator[Numbered]:
    """Yield the rows below the header, each with the number of its first line, from 1. Empty lines are passed over.

    After a record that can't be read, reading goes on with the line after its first: a quote left open would
    otherwise take all lines to the next one with it.
    """
    csv.field_size_limit(LONGEST_CELL)
    lines = _Lines(text)
    # `strict` reports a quote that never ends, instead of taking the rest of the file for one value.
    reader = csv.reader(lines, delimiter=header.delimiter, strict=True)
    below = False
    while True:
        number = lines.next_record()
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
        elif reason or (values and len(values) != len(header.names)):
            reason = reason or f"{len(values)} values for {len(header.names)} columns"
            if lines.give_back() and reason != UNCLOSED:
                reason = f"{UNCLOSED}, or {reason}"
            yield number, BadLine(reason)
        elif values:
            yield number, dict(zip(header.names, values, strict=True))


@dataclass(slots=True)
class _Lines:
    """Lines that can be handed out again."""

    text: TextIO
    number: int = 1
    taken: list[str] = field(default_factory=list)
    again: deque[str] = field(default_factory=deque)

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self.again.popleft() if self.again else next(self.text)
        self.taken.append(line)
        return line

    def next_record(self) -> int:
        """Returns the number of the line that comes next."""
        self.number += len(self.taken)
        self.taken.clear()
        return self.number

    def give_back(self) -> bool:
        """Hand out again all lines of this record but its first. Returns whether there are any."""
        rest = self.taken[1:]
        self.again.extendleft(reversed(rest))
        del self.taken[1:]
        return bool(rest)


def _reason(error: csv.Error) -> str:
    text = str(error)
    open_quote = text == "unexpected end of data" or text.startswith("field larger")
    return UNCLOSED if open_quote else f"bad quoting, {text}"
