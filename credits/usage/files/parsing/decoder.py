"""Decoding JSON line by line or in pieces. Objects that name something twice are told from others."""

from __future__ import annotations

import json
from typing import Any, TextIO

from credits.usage.files.parsing.lines import Refused

# The standard decoder reads arrays too, instead of a streaming library: so both forms refuse repeated names alike.
LONGEST_ITEM = 16 * 2**20
CHUNK = 65_536
SPACE = " \t\r\n\ufeff"


class Repeated(str):
    """Stands for an object that has one name twice; the text is that name."""

    __slots__ = ()


class Buffer:
    """The part of the text that was read and not yet taken."""

    def __init__(self, text: TextIO) -> None:
        self.text = text
        self.rest = ""
        self.line = 1

    def skip(self) -> str:
        """Pass over space. Returns the character that comes next, or nothing at the end."""
        while True:
            stripped = self.rest.lstrip(SPACE)
            self.drop(len(self.rest) - len(stripped))
            if self.rest or not self._more():
                return self.rest[:1]

    def drop(self, length: int) -> None:
        self.line += self.rest.count("\n", 0, length)
        self.rest = self.rest[length:]

    def take(self) -> Any:
        """Returns the value that begins here."""
        while True:
            try:
                value, end = _decoder.raw_decode(self.rest)
            except (ValueError, RecursionError):
                if len(self.rest) < LONGEST_ITEM and self._more():
                    continue
                raise self.refused() from None
            # The digits of a number may go on in the next chunk.
            if end < len(self.rest) or not self._more():
                self.drop(end)
                return value

    def refused(self) -> Refused:
        return Refused(f"Line {self.line}: this is not JSON, or it ends too early.")

    def _more(self) -> bool:
        # Longer items are read in longer pieces, so that each is decoded a few times only.
        more = self.text.read(max(CHUNK, len(self.rest)))
        self.rest += more
        return bool(more)


def loaded(line: str) -> Any:
    """Returns the value of a line, None where it is no JSON."""
    try:
        return _decoder.decode(line)
    # Deeply nested JSON ends in a RecursionError.
    except (ValueError, RecursionError):
        return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Repeated:
    row = dict(pairs)
    if len(row) == len(pairs):
        return row
    names = [name for name, _ in pairs]
    return Repeated(next(name for name in names if names.count(name) > 1))


_decoder = json.JSONDecoder(object_pairs_hook=_object)
