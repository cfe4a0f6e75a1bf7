"""Deletes rows that nobody will ask for any more (O4), in batches, so that nobody waits for a long statement."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.models import QuerySet

from credits.models import Hold
from dashboard.account import deletion
from sidekick.accounts.models import DeviceSession, Letter

KEEP_SESSIONS = timedelta(days=90)
KEEP_EMAILS = timedelta(days=180)
KEEP_FAILED_JOBS = timedelta(days=30)
KEEP_HOLDS = timedelta(days=30)
A_DAY = timedelta(days=1)
BATCH = 2000

logger = logging.getLogger(__name__)


def clean(now: datetime) -> dict[str, int]:
    """Delete everything that is old enough. Returns the number of rows removed of each kind."""
    removed = {
        "device_sessions": _remove(dead_sessions(now)),
        "emails": _remove(old_emails(now)),
        "holds": _remove(ended_holds(now)),
        "cache": _expired("cache", "expires", now),
        "request_counts": _expired("accounts_request_count", "starts_at", now - A_DAY),
    }
    call_command("clearsessions")
    deletion.erase_again()
    logger.info("removed %s", removed)
    return removed


def dead_sessions(now: datetime) -> QuerySet[DeviceSession]:
    """Device sessions that have been over for `KEEP_SESSIONS`.

    A session that was not seen for the idle limit is over, whether someone ended it or not.
    """
    # There is no index on `last_seen`: every refresh would write it, for one reading a day.
    return DeviceSession.objects.filter(last_seen__lt=now - settings.SESSION_IDLE_LIMIT - KEEP_SESSIONS)


def old_emails(now: datetime) -> QuerySet[Letter]:
    return Letter.objects.filter(due_at=None, created_at__lt=now - KEEP_EMAILS)


def ended_holds(now: datetime) -> QuerySet[Hold]:
    """Holds of requests that are too old to be reported: no usage can name one any more."""
    return Hold.objects.filter(ended_at__lt=now - settings.USAGE_MAX_AGE - KEEP_HOLDS)


def _remove(rows: QuerySet[Any]) -> int:
    removed = 0
    while ids := list(rows.order_by().values_list("pk", flat=True)[:BATCH]):
        removed += rows.model._default_manager.filter(pk__in=ids).delete()[0]
    return removed


def _expired(table: str, column: str, now: datetime) -> int:
    # Django removes expired entries of the cache only when it is full.
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE {column} < %s", [now])  # noqa: S608
        return int(cursor.rowcount)
