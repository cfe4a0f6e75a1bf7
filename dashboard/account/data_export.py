"""Everything we hold about an account, as one JSON file for its owner (A10)."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import IO, Any

from django.utils import timezone

from credits.models import UsageEvent
from dashboard.account import data_sections
from dashboard.account.data_sections import Rows
from sidekick.accounts.models import User
from sidekick.database import snapshot

IN_MEMORY = 4 * 1024 * 1024
AT_A_TIME = 5_000


def write(account: User) -> IO[bytes]:
    """Write the file and return it open at its beginning; the caller closes it. All of it is as of one moment.

    It is an object of lists, one row per line. Credits are decimal strings, money is in minor units, times are
    RFC 3339 in UTC.
    """
    # Finished before its first byte is sent, so that nobody gets half of it; beyond `IN_MEMORY` it goes to disk.
    file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
    with snapshot():
        for piece in _pieces(account):
            file.write(piece.encode())
    file.seek(0)
    return file


def _pieces(account: User) -> Iterator[str]:
    yield f'{{"written_at": {_json(timezone.now())}'
    for name, rows in data_sections.sections(account):
        yield f',\n"{name}": ['
        comma = ""
        for row in _read(rows):
            yield f"{comma}\n{row if isinstance(row, str) else _json(row)}"
            comma = ","
        yield "]"
    yield "}\n"


def _read(rows: Rows) -> Iterator[dict[str, Any] | str]:
    if rows.model is not UsageEvent:
        yield from rows.iterator(chunk_size=AT_A_TIME)
        return
    # In batches along the primary key, so that memory stays the same at any number of requests.
    batch = list(rows[:AT_A_TIME])
    while batch:
        yield from (line for _, line in batch)
        batch = list(rows.filter(request_id__gt=batch[-1][0])[:AT_A_TIME])


def _json(value: object) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, uuid.UUID):
        return str(value)
    raise TypeError(type(value))
