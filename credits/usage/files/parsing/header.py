"""The header of a table: its columns, and the character that separates them."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TextIO

from credits.usage.files.parsing.lines import Refused

DELIMITERS = ",;\t|"
SPOKEN = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}
READ_FOR_HEADER = 65_536


@dataclass(frozen=True, slots=True)
class Header:
    """The names of the columns, without the spaces around them."""

    delimiter: str
    names: tuple[str, ...]

    @property
    def separated_by(self) -> str:
        return SPOKEN.get(self.delimiter, repr(self.delimiter))


def read_header(text: TextIO, delimiter: str | None, suits: Callable[[Collection[str]], bool]) -> Header | None:
    """Returns the header, None for an empty file. Raises `Refused` for a name that stands in it twice.

    Where no delimiter is named, it is the one whose names suit, else the one that makes most columns.
    """
    head = text.read(READ_FOR_HEADER)
    if "\0" in head:
        raise Refused("The file has NUL characters. It may be UTF-16 without its mark: say --encoding utf-16-le.")
    headers = [Header(mark, _first_row(head, mark)) for mark in (delimiter or DELIMITERS)]
    header = next((h for h in headers if suits(h.names)), max(headers, key=lambda h: len(h.names)))
    if not header.names:
        return None
    twice = [name for name, count in Counter(header.names).items() if name and count > 1]
    if twice:
        raise Refused(f"The header names {twice[0]} twice, so it does not say which column is meant.")
    return header


def _first_row(head: str, delimiter: str) -> tuple[str, ...]:
    try:
        row = next((row for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter) if row), [])
    except csv.Error:
        return ()
    return tuple(name.strip("\ufeff \t") for name in row)
