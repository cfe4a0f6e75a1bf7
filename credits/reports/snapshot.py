"""Reading several queries from one consistent state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from psycopg import IsolationLevel


@contextmanager
def snapshot() -> Iterator[None]:
    """Everything read inside sees the database as it was at the first query (C10).

    Repeatable read is asked for with BEGIN itself, so it costs no statement more. Inside a transaction that is
    open already (a test's, say) there is nothing to choose any more, and that one goes on.
    """
    connection.ensure_connection()
    raw = connection.connection
    if connection.in_atomic_block:
        yield
        return
    raw.isolation_level, before = IsolationLevel.REPEATABLE_READ, raw.isolation_level
    try:
        with transaction.atomic():
            yield
    finally:
        if not raw.closed:
            raw.isolation_level = before
