"""The first time a file is read: nothing is loaded, and all that would stop a load on its way is found (M10)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from credits.usage.files.columns import check_columns, paths
from credits.usage.files.fields import FIELDS, TOKENS, look_up
from credits.usage.files.parsing.lines import BadLine, Refused
from credits.usage.files.reading import Reading
from credits.usage.files.requests import RequestReader

LISTED = 100  # Rows of JSON whose names are told.


@dataclass(slots=True)
class Early:
    """Lines of one account from before it signed up."""

    signed_up: datetime
    numbers: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Checked:
    """`present` are the columns of the file in their order, `early` is by email."""

    present: dict[str, None]
    early: dict[str, Early] = field(default_factory=dict)
    rows: int = 0


def check(
    reading: Reading,
    reader: RequestReader,
    mapped: Collection[str],
    chosen: Collection[range],
    progress: Callable[[], object] = lambda: None,
) -> Checked:
    """Read the whole file, and tell `reader` whether it has request ids.

    `mapped` are the fields that the operator named columns for, `chosen` the only lines.

    Raises `Refused` for an encoding, a form or columns with which nothing may be loaded.
    """
    checked = Checked(dict.fromkeys(reading.header.names if reading.header else ()))
    unseen = {c for name in FIELDS for part in reading.fields.parts(name) for c in part} - checked.present.keys()
    last = 0
    with reading.rows() as rows:
        for number, row in rows:
            last = number
            if number % 1000 == 0:
                progress()
            if row is None or isinstance(row, BadLine):
                continue
            checked.rows += 1
            if reading.form != "csv" and checked.rows <= LISTED:
                checked.present.update(dict.fromkeys(paths(row)))
            try:
                found = {column for column in unseen if look_up(row, column) is not None}
                checked.present.update(dict.fromkeys(sorted(found)))
                unseen -= found
                if is_chosen(number, chosen) and not without_tokens(reading, row):
                    _note(checked, reader, number, reader.read(row))
            except BadLine:
                # It is told when the file is loaded.
                continue
    if checked.present:
        separated_by = reading.header.separated_by if reading.header else ""
        check_columns(reading.fields, mapped, checked.present, separated_by)
        reader.has_ids = reading.fields.first_missing(["request_id"], checked.present) is None
    if reader.ids.file_id and (reader.has_ids or reader.sums):
        raise Refused("--file-id is for lines without ids of their own.")
    if beyond := [numbers.stop - 1 for numbers in chosen if numbers.stop - 1 > last]:
        raise Refused(f"The file has no {reading.unit} {beyond[0]}: its last one is {last}.")
    return checked


def is_chosen(number: int, chosen: Collection[range]) -> bool:
    return not chosen or any(number in numbers for numbers in chosen)


def without_tokens(reading: Reading, row: object) -> bool:
    """Returns whether a row of a preset is no request: exports hold spans, and times in which nothing was used."""
    if not reading.layout.columns or not isinstance(row, dict):
        return False
    return not any(reading.fields.values(row, name) for name in TOKENS)


def _note(checked: Checked, reader: RequestReader, number: int, event: dict[str, Any]) -> None:
    if reader.accounts.is_early(event["account"], event["occurred_at"]):
        account = reader.accounts.named(event["account"])[1]
        checked.early.setdefault(account.email, Early(account.date_joined)).numbers.append(number)
