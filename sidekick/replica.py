"""Long reads, from a streaming replica where there is one, and from the primary whenever there is a doubt.

Files go there, because they take seconds. Pages don't: their statements take a millisecond or two, no longer than
finding out whether the replica has everything.

What comes from the replica is never older than what a page has shown: it must have replayed all that the primary had
written when the reading began. Unlike a lag in seconds that is exact, takes an idle primary for no lag, and compares
no clocks.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer
from typing import TypeVar

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, connections

PRIMARY, REPLICA = DEFAULT_DB_ALIAS, "replica"
# How long this process leaves the replica alone after it failed: not every file is to wait for it to be silent.
REST = 30.0
STEP = 0.02
# Seconds after which a file is given up, and what is asked first. PostgreSQL's own limits are kept by PostgreSQL: one
# that is frozen keeps none, while its system still answers for it.
LONGEST, PATIENCE = 180.0, 2.0

logger = logging.getLogger(__name__)
T = TypeVar("T")


def is_set() -> bool:
    return REPLICA in connections.settings


def read(job: Callable[[str], T]) -> T:
    """What `job` makes of the database whose alias it is given.

    It only reads, and keeps nothing of what it began: where the replica breaks off, by going away or by cancelling
    what stands in the way of its replaying, the job is done again with the primary. Raises what that raises.
    """
    if not is_set() or why_not():
        return job(PRIMARY)
    try:
        with _no_longer_than(LONGEST):
            return job(REPLICA)
    except Error as error:
        _leave_alone(f"It broke off ({_name(error)}).")
    finally:
        connections[REPLICA].close()
    return job(PRIMARY)


def why_not() -> str:
    """Why the replica is not read at the moment; empty when it has all that the primary had written by now.

    Takes at most `REPLICA_LAG_SECONDS`, or two seconds where nobody answers. Raises `django.db.Error` when the primary
    can't say how far it is.
    """
    if time.time() < _rest.until:
        return _rest.why
    written = _written()
    try:
        with _no_longer_than(settings.REPLICA_LAG_SECONDS + PATIENCE):
            why = _why_behind(written)
    except Error as error:
        why = f"It does not answer ({_name(error)})."
    if why:
        _leave_alone(why)
    return why


class _Rest:
    """Of this process: until when the replica is left alone, in seconds since 1970, and why."""

    until, why = 0.0, ""


_rest = _Rest()


def _leave_alone(why: str) -> None:
    logger.warning("The replica is left alone for %d s: %s", REST, why)
    _rest.until, _rest.why = time.time() + REST, why
    # What broke off is good for nothing any more, and Django would only notice with the next request.
    connections[REPLICA].close()


def _written() -> dict[str, str]:
    """Which database the primary is, and how far it has written; what anybody has seen is committed before that.

    (With `synchronous_commit` off, what was committed in the last second may be seen before it is written.)
    """
    with connections[PRIMARY].cursor() as cursor:
        cursor.execute(
            "SELECT system_identifier::text, current_database(), pg_current_wal_flush_lsn()::text,"
            " left(pg_walfile_name(pg_current_wal_flush_lsn()), 8) FROM pg_control_system()"
        )
        return dict(zip(("system", "name", "position", "timeline"), cursor.fetchone(), strict=True))


def _why_behind(written: dict[str, str]) -> str:
    """Gives it `REPLICA_LAG_SECONDS` to catch up. One that was promoted is no replica any more.

    Nor is one that goes on following a former primary: positions of two timelines can't be compared.
    """
    until = time.monotonic() + settings.REPLICA_LAG_SECONDS
    while True:
        with connections[REPLICA].cursor() as cursor:
            cursor.execute(
                """
                SELECT pg_is_in_recovery() AND current_database() = %(name)s AND system_identifier::text = %(system)s
                        AND upper(lpad(to_hex(timeline_id), 8, '0')) = %(timeline)s,
                    pg_last_wal_replay_lsn() >= %(position)s::pg_lsn
                FROM pg_control_system(), pg_control_checkpoint()
                """,
                written,
            )
            is_replica, has_all = cursor.fetchone()
        if not is_replica:
            return "It is not a replica of the database."
        if has_all:
            return ""
        if time.monotonic() >= until:
            return f"It is more than {settings.REPLICA_LAG_SECONDS} s behind."
        time.sleep(STEP)


@contextmanager
def _no_longer_than(seconds: float) -> Iterator[None]:
    """Hang up on the replica after that time, which whoever waits for it takes for a broken connection."""
    connection = connections[REPLICA]
    connection.ensure_connection()
    with socket.socket(fileno=os.dup(connection.connection.fileno())) as line:
        timer = Timer(seconds, line.shutdown, [socket.SHUT_RDWR])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def _name(error: Error) -> str:
    """Of PostgreSQL's own error, which says more than Django's."""
    return type(error.__cause__ or error).__name__
