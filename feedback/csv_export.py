"""Reports as a CSV file for operators."""

from __future__ import annotations

import csv
import io
import tempfile
from typing import IO

from feedback.models import Report, ReportQuerySet
from sidekick.formatting import csv_safe

COLUMNS = (
    "reference", "id", "kind", "title", "description", "priority", "status", "reply", "note", "account_id",
    "account_email", "page", "browser", "app_version", "created_at", "changed_at",
)  # fmt: skip


def write(reports: ReportQuerySet) -> IO[bytes]:
    """Returns the file open at its beginning, for the caller to close. No cell runs as a formula in a spreadsheet."""
    # Finished before its first byte is sent: nobody gets half of it, and only this thread uses its cursor.
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
    text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(map(csv_safe, _cells(report)) for report in reports.iterator(chunk_size=500))
    text.detach()
    file.seek(0)
    return file


def _cells(report: Report) -> list[str]:
    values = [getattr(report, column) for column in COLUMNS]
    return [value.isoformat() if hasattr(value, "isoformat") else str(value) for value in values]
