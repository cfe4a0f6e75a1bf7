"""Reports as a CSV file for operators."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO

from feedback.models import Report, ReportQuerySet
from sidekick.formatting import csv_safe

COLUMNS = (
    "reference", "id", "kind", "title", "description", "priority", "status", "reply", "note", "account_id",
    "account_email", "page", "browser", "app_version", "created_at", "changed_at",
)  # fmt: skip


def lines(reports: ReportQuerySet) -> Iterator[str]:
    """The header, then one line per report, read a few at a time. No cell runs as a formula in a spreadsheet."""
    yield _line(COLUMNS)
    for report in reports.iterator(chunk_size=500):
        yield _line(_cells(report))


def _cells(report: Report) -> list[str]:
    values = [getattr(report, column) for column in COLUMNS]
    return [value.isoformat() if hasattr(value, "isoformat") else str(value) for value in values]


def _line(cells: tuple[str, ...] | list[str]) -> str:
    line = StringIO()
    csv.writer(line).writerow(map(csv_safe, cells))
    return line.getvalue()
