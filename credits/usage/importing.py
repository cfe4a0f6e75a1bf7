"""Loading usage from files through the same code as the API (M10)."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any, TextIO

from pydantic import TypeAdapter, ValidationError

from credits.usage import recording
from credits.usage.schemas import MOST_EVENTS, Event

TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
FIELDS = ("request_id", "account", "model", "occurred_at", *TOKENS)

_event = TypeAdapter(Event)


class BadLine(ValueError):
    """A line that can't be read as a request."""


@dataclass(slots=True)
class ImportResult:
    """The counts of a file's lines; `bad` holds the number of each line that was not recorded, and the reason."""

    accepted: int = 0
    duplicates: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Columns:
    """The column of each field, and the values of fields that no column holds. Other columns have their field's name.

    `zone` is the time zone of moments without an offset.
    """

    names: Mapping[str, str]
    constants: Mapping[str, str]
    zone: tzinfo

    def value(self, row: Mapping[str, Any], name: str) -> Any:
        """Returns the row's value of a field. Raises `BadLine` where it has none and needs one."""
        if name in self.constants:
            return self.constants[name]
        column = self.names.get(name, name)
        if column in row and row[column] is not None:
            return row[column]
        # A log may know no cache.
        if name in ("cache_read_tokens", "cache_write_tokens"):
            return 0
        raise BadLine(f"no {column}")


def load(lines: Iterable[tuple[int, Mapping[str, Any] | BadLine]], columns: Columns) -> Iterator[ImportResult]:
    """Record numbered rows, `MOST_EVENTS` in a call, and yield the result so far after each call.

    Loading a file again adds nothing, also where it was renamed or has grown. Rows of any age are taken.
    """
    result = ImportResult()
    seen: dict[bytes, int] = defaultdict(int)
    numbers: list[int] = []
    events: list[Event] = []
    for number, row in lines:
        try:
            if isinstance(row, BadLine):
                raise row
            events.append(_read(row, columns, seen))
            numbers.append(number)
        except BadLine as error:
            result.bad.append((number, str(error)))
        if len(events) == MOST_EVENTS:
            _record(events, numbers, result)
            yield result
            events, numbers = [], []
    _record(events, numbers, result)
    yield result


def read_csv(file: TextIO) -> Iterator[tuple[int, Mapping[str, Any] | BadLine]]:
    """Yield the rows of a CSV file with a header, each with the number of its last line, from 1."""
    # `strict` reports a quote that never ends, instead of taking the rest of the file for one value.
    reader = csv.DictReader(file, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, BadLine(str(error))
        else:
            # DictReader keeps surplus values under None.
            yield reader.line_num, BadLine("more values than columns") if None in row else row


def read_json_lines(file: TextIO) -> Iterator[tuple[int, Mapping[str, Any] | BadLine]]:
    """Yield the objects of a file with one JSON object a line, each with the number of its line, from 1."""
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        # Deeply nested JSON ends in a RecursionError.
        except (ValueError, RecursionError):
            yield number, BadLine("not JSON")
        else:
            yield number, row if isinstance(row, dict) else BadLine("not an object")


def _record(events: list[Event], numbers: list[int], result: ImportResult) -> None:
    receipt = recording.record(events, max_age=timedelta.max)
    result.accepted += receipt.accepted
    result.duplicates += receipt.duplicates
    result.bad += [(numbers[r.index], f"{r.code}: {r.detail}") for r in receipt.rejected]
    result.bad.sort()


def _read(row: Mapping[str, Any], columns: Columns, seen: dict[bytes, int]) -> Event:
    event = {
        "account": columns.value(row, "account"),
        "model": columns.value(row, "model"),
        "occurred_at": _moment(columns.value(row, "occurred_at"), columns.zone),
        **{name: _count(columns.value(row, name), name) for name in TOKENS},
    }
    if columns.names.get("request_id", "request_id") in row:
        event["request_id"] = columns.value(row, "request_id")
    else:
        event["request_id"] = _generated_id(event, seen)
    try:
        return _event.validate_python(event)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadLine(f"{first['loc'][0]}: {first['msg']}") from None


def _generated_id(event: Mapping[str, Any], seen: dict[bytes, int]) -> str:
    """Returns a request id made of the row's content, and of how often that content came before in this file."""
    content = json.dumps(event, default=str, sort_keys=True).encode()
    digest = hashlib.sha256(content).digest()[:12]
    seen[digest] += 1
    # Time comes first: ids that grow are stored faster.
    return f"import_{int(event['occurred_at'].timestamp()):010x}_{digest.hex()}_{seen[digest]}"


def _moment(value: Any, zone: tzinfo) -> datetime:
    try:
        moment = datetime.fromisoformat(value.strip())
    except (AttributeError, ValueError):
        raise BadLine(f"occurred_at: {value!r} is no moment") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _count(value: Any, name: str) -> int:
    # JSON's true and false are integers in Python.
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 20:
        return int(value)
    raise BadLine(f"{name}: {value!r} is no count of tokens")
