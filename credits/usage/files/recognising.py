"""Recognising the format and the layout of a file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from credits.usage.files.columns import paths
from credits.usage.files.fields import FIELDS, OPTIONAL, Fields, columns_of
from credits.usage.files.layouts import PLAIN, Layout
from credits.usage.files.parsing import decoder, documents
from credits.usage.files.parsing import header as headers
from credits.usage.files.parsing.header import Header
from credits.usage.files.parsing.source import Source
from credits.usage.files.presets import PRESETS
from credits.usage.files.reading import Reading

REQUIRED = [name for name in FIELDS if name not in OPTIONAL]


def reading_of(source: Source, form: str, given: Fields, columns: Mapping[str, str], delimiter: str | None) -> Reading:
    """Find out how to read a file of this form: `csv`, `json`, `jsonl`, or the name of a preset.

    `columns` are those that the operator named, as in `usage.input+usage.cached`; they go before the preset's.
    """
    preset = PRESETS.get(form)
    layouts = preset.layouts if preset else (PLAIN,)
    kind = _kind(source, form, session=bool(preset and preset.session))
    first = Reading(source, kind, given, layouts[0], session=bool(preset and preset.session))
    if kind == "csv":
        with source.text() as text:
            header = headers.read_header(
                text, delimiter, lambda present: any(_suits(s, given, columns, present) for s in layouts)
            )
        present: Collection[str] = header.names if header else ()
        first = replace(first, header=header)
    for layout in layouts:
        reading = replace(first, layout=layout)
        if kind != "csv":
            present = _first_paths(reading)
        if _suits(layout, given, columns, present):
            break
    else:
        reading = first
    return replace(reading, fields=_fields(reading.layout, given, columns, present, header=reading.header))


def _kind(source: Source, form: str, *, session: bool) -> str:
    if form == "csv" or form == "jsonl" or session:
        return "csv" if form == "csv" else "lines"
    with source.text() as text:
        mark = text.read(decoder.CHUNK).lstrip(decoder.SPACE)[:1]
    if form != "json" and mark not in ("{", "["):
        return "csv"
    with source.text() as text:
        return "lines" if documents.has_lines(text) else "items"


def _fields(
    layout: Layout,
    given: Fields,
    columns: Mapping[str, str],
    present: Collection[str],
    header: Header | None = None,
) -> Fields:
    named = {**layout.columns, **columns}
    return replace(
        given,
        columns={name: columns_of(text, present) for name, text in named.items()},
        cached_inside=given.cached_inside or layout.cached_inside,
        comma_decimals=bool(header and header.delimiter == ";"),
    )


def _suits(layout: Layout, given: Fields, columns: Mapping[str, str], present: Collection[str]) -> bool:
    # A cell may hold JSON: whether a path leads into it shows when rows are read.
    fields = _fields(layout, given, columns, present)
    used = {column for name in FIELDS for part in fields.parts(name) for column in part}
    inside = {column for column in used if any(column.startswith(f"{name}.") for name in present if name)}
    return fields.first_missing(REQUIRED, {*present, *inside}) is None


def _first_paths(reading: Reading) -> list[str]:
    """Returns the paths of the first row that can be read."""
    with reading.rows() as rows:
        row = next((row for _, row in rows if isinstance(row, Mapping)), {})
        return list(paths(row))
