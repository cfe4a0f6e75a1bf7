"""How a file is read: as a table or as JSON, with the columns that its preset or its operator named."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from credits.usage.files.fields import TOKENS, Fields
from credits.usage.files.layouts import PLAIN, Layout
from credits.usage.files.parsing import codex, documents, tables
from credits.usage.files.parsing.header import Header
from credits.usage.files.parsing.lines import BadLine, Numbered, Row
from credits.usage.files.parsing.source import Source


@dataclass(frozen=True, slots=True)
class Reading:
    """A file with the form of its rows: `csv`, `lines` of JSON, or `items` of JSON. A file of nothing has no header."""

    source: Source
    form: str
    fields: Fields
    layout: Layout = PLAIN
    header: Header | None = None
    session: bool = False

    @property
    def unit(self) -> str:
        """Returns the name of what rows are numbered by."""
        return "item" if self.form == "items" or (self.layout.nested_in and self.form != "csv") else "line"

    @contextmanager
    def rows(self) -> Iterator[Iterator[Numbered]]:
        with self.source.text() as text:
            if self.form == "csv":
                yield tables.rows(text, self.header, self.fields.read_as_request) if self.header else iter(())
                return
            rows = documents.read_lines(text) if self.form == "lines" else documents.read_items(text)
            if self.session:
                rows = codex.requests_of(rows)
            yield _unfolded(rows, self.layout.nested_in, self._counted) if self.layout.nested_in else rows

    @property
    def _counted(self) -> frozenset[str]:
        """Returns the columns of tokens."""
        return frozenset(column for name in TOKENS for part in self.fields.parts(name) for column in part)


def _unfolded(rows: Iterator[Numbered], nested_in: tuple[str, ...], counted: Collection[str]) -> Iterator[Numbered]:
    """Yield the rows inside lists, each with the values around its list, numbered through the file."""
    number = 0
    for _, row in rows:
        for inner in _inside(row, nested_in, counted):
            number += 1
            yield number, inner


def _inside(
    row: Row | BadLine | None, nested_in: tuple[str, ...], counted: Collection[str]
) -> Iterator[Row | BadLine | None]:
    if not isinstance(row, Mapping) or not nested_in or not isinstance(row.get(nested_in[0]), list):
        yield row
        return
    # Tokens around a list are its sum: a row inside that names none has none of them.
    around = {name: value for name, value in row.items() if name != nested_in[0] and name not in counted}
    if not row[nested_in[0]] and any(row.get(name) for name in counted):
        yield BadLine(f"it has tokens, but no {nested_in[0]}")
    for child in row[nested_in[0]]:
        merged = (
            {**around, **child} if isinstance(child, Mapping) else BadLine(f"its {nested_in[0]} are no JSON objects")
        )
        yield from _inside(merged, nested_in[1:], counted)
