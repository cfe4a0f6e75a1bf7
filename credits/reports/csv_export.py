"""CSV files: requests, models and history (C7).

A file is made as a whole before its first byte is sent, and goes out with its length, so it arrives complete or the
browser calls the download failed. Streamed while it is made, a file with an error half-way would look complete.
Numbers are exact, and text is guarded by `csv_safe`.
"""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from tempfile import TemporaryFile
from typing import IO
from zoneinfo import ZoneInfo

from django.db import connection

from credits.models import MICRO
from credits.reports.history import Change
from credits.reports.spans import Span
from credits.reports.usage import ModelUsage
from sidekick.formatting import FORMULA_FIRST, FORMULA_FURTHER, csv_safe

# The rows that a spreadsheet can show, less the header. The limit also bounds the size on disk.
MOST_ROWS = 1_048_575
# Without it a spreadsheet reads names in the alphabet of its country.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def try_lock(account_id: uuid.UUID) -> bool:
    """Reserve the making of files for this account until the transaction ends; False where one is being made.

    Needs an open transaction.
    """
    # A large file keeps a thread of the server busy for seconds, so an account gets one at a time.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"export {account_id}"])
        locked: bool = cursor.fetchone()[0]
    return locked


def requests(account_id: uuid.UUID, span: Span, *, model: str | None = None) -> IO[bytes]:
    """Every request of a span, newest first, of one model where one is named; moments are of UTC.

    Raises `django.db.Error` when the file can't be finished.
    """
    # PostgreSQL writes the file itself: one statement, one state, a few kilobytes of our memory, however many rows.
    file = _file()
    parameters = {"account": account_id, "start": span.start, "end": span.end, "model": model}
    parameters |= {"first": FORMULA_FIRST, "further": FORMULA_FURTHER}
    # Django's cursor knows no COPY with parameters, psycopg's does; Django still has to hear of errors.
    connection.ensure_connection()
    raw = connection.connection
    with connection.wrap_database_errors, raw.cursor() as cursor, cursor.copy(_REQUESTS, parameters) as rows:
        for block in rows:
            file.write(block)
    return file


def models(sums: Iterable[ModelUsage]) -> IO[bytes]:
    """Sums per model, in the order given."""
    heading = ["Model", "Requests", "Input", "Output", "Cache read", "Cache write", "Credits"]
    return _written(heading, ([name, *counts, credits.quantize(MICRO)] for name, *counts, credits in sums))


def history(changes: Iterable[Change], zone: ZoneInfo) -> IO[bytes]:
    """Every change of the balance. The usage of a day has no moment, only that day of the account's zone."""
    heading = ["Time (UTC)", f"Day ({zone.key})", "What", "Detail", "Credits", "Balance"]
    return _written(
        heading,
        (
            [
                "" if change.day else _moment(change.at),
                change.day or change.at.astimezone(zone).date(),
                change.what,
                change.note,
                change.change.quantize(MICRO),
                change.balance.quantize(MICRO),
            ]
            for change in changes
        ),
    )


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _written(heading: list[str], rows: Iterable[list[object]]) -> IO[bytes]:
    file = _file()
    text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(heading)
    writer.writerows(map(csv_safe, row) for row in rows)
    text.detach()
    return file


def _file() -> IO[bytes]:
    # On disk from the first row on, because a process hardly gives memory back; without a name, so that it is gone
    # with the process at the latest.
    file = TemporaryFile()  # noqa: SIM115 (the response closes it)
    file.write(BYTE_ORDER_MARK)
    return file


def safe_column(column: str) -> str:
    """`csv_safe` in SQL, of a column of text; needs the parameters `first` and `further`."""
    return f"regexp_replace(regexp_replace({column}, %(first)s, ''''), %(further)s, '\\1''', 'g')"


_REQUESTS = f"""
COPY (
    SELECT to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "Time (UTC)",
        m.safe_name AS "Model", e.input_tokens AS "Input", e.output_tokens AS "Output",
        e.cache_read_tokens AS "Cache read", e.cache_write_tokens AS "Cache write",
        e.input_tokens::bigint + e.output_tokens + e.cache_read_tokens + e.cache_write_tokens AS "Tokens",
        e.credits AS "Credits", {safe_column("e.request_id")} AS "Request"
    FROM credits_usageevent e JOIN (
        SELECT id, {safe_column("name")} AS safe_name FROM credits_aimodel
        WHERE %(model)s::text IS NULL OR name = %(model)s
    ) m ON m.id = e.model_id
    WHERE e.account_id = %(account)s AND e.occurred_at >= %(start)s AND e.occurred_at < %(end)s
    ORDER BY e.occurred_at DESC, e.request_id DESC
) TO STDOUT WITH (FORMAT csv, HEADER)
"""
