"""How a file is read: as a table or as JSON, with the columns that its preset or its operator named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from credits.usage.files.fields import Fields
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
            yield _unfolded(rows, self.layout.nested_in) if self.layout.nested_in else rows


def _unfolded(rows: Iterator[Numbered], steps: tuple[str, ...]) -> Iterator[Numbered]:
    """Yield the rows inside lists, each with the values around its list, numbered through the file."""
    number = 0
    for _, row in rows:
        for inner in _inside(row, steps):
            number += 1
            yield number, inner


def _inside(row: Row | BadLine | None, steps: tuple[str, ...]) -> Iterator[Row | BadLine | None]:
    if not isinstance(row, Mapping) or not steps or not isinstance(row.get(steps[0]), list):
        yield row
        return
    around = {name: value for name, value in row.items() if name != steps[0]}
    for child in row[steps[0]]:
        merged = {**around, **child} if isinstance(child, Mapping) else BadLine(f"its {steps[0]} are no JSON objects")
        yield from _inside(merged, steps[1:])
