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

TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
FIELDS = ("request_id", "account", "model", "occurred_at", *TOKENS)

_event = TypeAdapter(recording.Event)


class BadLine(ValueError):
    """A line that can't be read as a request."""


@dataclass(slots=True)
class Report:
    """What became of a file's lines; `bad` has the number of each that was not taken, and why."""

    accepted: int = 0
    duplicates: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column holds which field, and what stands for fields that no column holds."""

    names: Mapping[str, str]
    constants: Mapping[str, str]
    zone: tzinfo

    def value(self, row: Mapping[str, Any], name: str) -> Any:
        if name in self.constants:
            return self.constants[name]
        column = self.names.get(name, name)
        if column in row and row[column] is not None:
            return row[column]
        if name in ("cache_read_tokens", "cache_write_tokens"):
            return 0
        raise BadLine(f"no {column}")


def load(lines: Iterable[tuple[int, Mapping[str, Any] | BadLine]], columns: Columns) -> Iterator[Report]:
    """Record numbered rows in calls of 1,000; yields what has become of them so far after each call.

    Where no column names a request, its id is made from the row's content and how often that content came before:
    the same file, renamed or continued, gives the same ids, so loading it again adds nothing.
    """
    report = Report()
    seen: dict[bytes, int] = defaultdict(int)
    numbers: list[int] = []
    events: list[recording.Event] = []
    for number, row in lines:
        try:
            if isinstance(row, BadLine):
                raise row
            events.append(_read(row, columns, seen))
            numbers.append(number)
        except BadLine as error:
            report.bad.append((number, str(error)))
        if len(events) == recording.MOST_EVENTS:
            _record(events, numbers, report)
            yield report
            events, numbers = [], []
    _record(events, numbers, report)
    yield report


def read_csv(file: TextIO) -> Iterator[tuple[int, Mapping[str, Any] | BadLine]]:
    """Rows of a CSV file with a header, numbered as an editor numbers lines."""
    reader = csv.DictReader(file, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, BadLine(str(error))
        else:
            yield reader.line_num, BadLine("more values than columns") if None in row else row


def read_json_lines(file: TextIO) -> Iterator[tuple[int, Mapping[str, Any] | BadLine]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield number, BadLine("not JSON")
        else:
            yield number, row if isinstance(row, dict) else BadLine("not an object")


def _record(events: list[recording.Event], numbers: list[int], report: Report) -> None:
    receipt = recording.record(events, max_age=timedelta.max)
    report.accepted += receipt.accepted
    report.duplicates += receipt.duplicates
    report.bad += [(numbers[r.index], f"{r.code}: {r.detail}") for r in receipt.rejected]
    report.bad.sort()


def _read(row: Mapping[str, Any], columns: Columns, seen: dict[bytes, int]) -> recording.Event:
    event = {
        "account": columns.value(row, "account"),
        "model": columns.value(row, "model"),
        "occurred_at": _moment(columns.value(row, "occurred_at"), columns.zone),
        **{name: _count(columns.value(row, name), name) for name in TOKENS},
    }
    if columns.names.get("request_id", "request_id") in row:
        event["request_id"] = columns.value(row, "request_id")
    else:
        event["request_id"] = _made_id(event, seen)
    try:
        return _event.validate_python(event)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadLine(f"{first['loc'][0]}: {first['msg']}") from None


def _made_id(event: Mapping[str, Any], seen: dict[bytes, int]) -> str:
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
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 20:
        return int(value)
    raise BadLine(f"{name}: {value!r} is no count of tokens")
