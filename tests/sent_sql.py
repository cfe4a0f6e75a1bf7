"""Every statement that our code sends while tests run, in any thread, by ORM, cursor or COPY, must name accounts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
from psycopg import sql

from credits.ledger import audit
from tests.accounts_named import mentions_usage, unnamed

ROOT = Path(__file__).parent.parent
# Where psycopg takes statements: everything Django sends passes here too.
DOORS = (
    (psycopg.Cursor, ("execute", "executemany", "stream", "copy")),
    (psycopg.ServerCursor, ("execute", "executemany")),
)

# Modules that may read everybody's usage, with the reason and the statements that are meant.
EXCEPTIONS: dict[str, tuple[str, frozenset[str]]] = {
    "credits.ledger.audit": (
        "proves the books of all accounts at once, when an operator asks for that",
        frozenset(audit.CHECKS[name].format(accounts="TRUE") for name in ("wallets", "models", "balance", "rollups")),
    ),
}
EXCEPTED = frozenset(text for _, texts in EXCEPTIONS.values() for text in texts)

refused: list[str] = []


def watch() -> None:
    """Make psycopg's cursors report each statement, for as long as this process lives."""
    for cursor, names in DOORS:
        for name in names:
            setattr(cursor, name, _telling(getattr(cursor, name)))


def _telling(send: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(send)
    def sending(cursor: Any, query: Any, params: Any = None, *args: Any, **kwargs: Any) -> Any:
        note(text_of(query, cursor), bound=params is not None)
        return send(cursor, query, params, *args, **kwargs)

    return sending


def text_of(query: object, cursor: Any) -> str:
    if isinstance(query, sql.Composable):
        return query.as_string(cursor)
    return query.decode() if isinstance(query, bytes) else str(query)


def note(text: str, *, bound: bool) -> None:
    """Remember the faults of a statement that our code sent. Statements of tests themselves are not looked at."""
    if mentions_usage(text) and text not in EXCEPTED and (faults := unnamed(text, bound=bound)) and (by := sender()):
        refused.append(f"{by} sent a statement with {', '.join(faults)}:\n{text}")


def sender() -> str:
    """Return the innermost of our modules that is at work; empty where that is a test, a migration or none of ours."""
    frame: FrameType | None = sys._getframe(1)
    while frame:
        if (found := _ours(frame.f_code.co_filename)) and found != "tests/sent_sql.py":
            return "" if found.startswith("tests/") or "/migrations/" in found else f"{found}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


@cache
def _ours(name: str) -> str:
    path = Path(name)
    if not path.is_relative_to(ROOT) or ".venv" in path.parts:
        return ""
    return path.relative_to(ROOT).as_posix()
