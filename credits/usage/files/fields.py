"""The columns that hold the fields of a request."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from credits.usage.files.parsing.decoder import Repeated
from credits.usage.files.parsing.lines import BadLine, Row
from credits.usage.files.values import count, is_blank, moment

CACHED = ("cache_read_tokens", "cache_write_tokens")
TOKENS = ("input_tokens", "output_tokens", *CACHED)
FIELDS = ("request_id", "account", "model", "occurred_at", *TOKENS)
# A log may know no cache and no ids.
OPTIONAL = ("request_id", *CACHED)

Part = tuple[str, ...]  # Columns whose values are added up.


@dataclass(frozen=True, slots=True)
class Fields:
    """Where the fields of a request stand.

    `columns` holds alternatives for each field, the first that a row has counts. An alternative is one column, or
    several joined by `+` for tokens that are added up. Fields that it leaves out have columns of their own name.
    `constants` are the same for all rows. `zone` is the time zone of moments without an offset. `cached_inside` says
    that input tokens include those read from the cache and written to it.
    """

    columns: Mapping[str, tuple[Part, ...]]
    constants: Mapping[str, str]
    zone: tzinfo
    cached_inside: bool = False
    comma_decimals: bool = False

    def parts(self, name: str) -> tuple[Part, ...]:
        return self.columns.get(name, ((name,),))

    def title(self, name: str) -> str:
        """Returns the columns of a field, as in `a or b+c`."""
        return " or ".join("+".join(part) for part in self.parts(name))

    def values(self, row: Row, name: str) -> list[Any]:
        """Returns the row's values of a field, several where columns are added up, none where they are empty."""
        if name in self.constants:
            return [self.constants[name]]
        for part in self.parts(name):
            found = [value for column in part if not is_blank(value := look_up(row, column))]
            if found:
                return found
        return []

    def read_as_request(self, row: Row) -> bool:
        """Returns whether a time and counts of tokens stand where those of a request do."""
        try:
            moment(self.values(row, "occurred_at")[0], self.zone)
            for value in (*self.values(row, "input_tokens"), *self.values(row, "output_tokens")):
                count(value, comma_decimals=self.comma_decimals)
        except (BadLine, IndexError):
            return False
        return True

    def first_missing(self, names: Collection[str], present: Collection[str]) -> tuple[str, str] | None:
        """Returns the first of these fields, with its column, that none of these columns holds."""
        for name in names:
            alternatives = self.parts(name)
            if name not in self.constants and not any(set(part) <= set(present) for part in alternatives):
                return name, next(column for column in alternatives[0] if column not in present)
        return None


def columns_of(text: str, present: Collection[str] = ()) -> tuple[Part, ...]:
    """Returns what a text such as `a|b+c` says, unless a column has that very name."""
    return ((text,),) if text in present else tuple(tuple(part.split("+")) for part in text.split("|"))


def look_up(row: Row, path: str) -> Any:
    """Returns the value at a path such as `usage.input_tokens`, None where there is none.

    A column of that very name comes first. A cell may hold JSON of its own. Raises `BadLine` on the way through an
    object that names something twice.
    """
    if path in row:
        return row[path]
    value: Any = row
    for name in path.split("."):
        if isinstance(value, str) and value.startswith("{"):
            value = _unpacked(value)
        if isinstance(value, Repeated):
            raise BadLine(f"{value} stands in it twice")
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _unpacked(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
