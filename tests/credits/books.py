"""Shorthand for what the tests of this room do and look at."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Barrier
from typing import TypeVar, cast

import pytest
from django.db import connection
from django.db.models import F

from credits.ledger.audit import differences
from credits.models import CreditPeriod, Grant, LedgerEntry, Wallet
from credits.usage import recording
from credits.usage.schemas import Event
from sidekick.accounts.models import User

T = TypeVar("T")
NOW = datetime(2026, 5, 10, 12, 7, 30, tzinfo=UTC)
TOKENS_PER_CREDIT = 50_000  # Input of claude-haiku-4-5 costs 20 credits a million.
# Two tests with fifty connections each, beside each other, are more than PostgreSQL lets in: one worker runs them all.
many_connections = pytest.mark.xdist_group("many_connections")


def event(account: User, request_id: str = "req_1", /, **changes: object) -> Event:
    fields: dict[str, object] = {
        "request_id": request_id,
        "account": str(account.id),
        "model": "claude-sonnet-4-5",
        "occurred_at": NOW,
        "input_tokens": 1200,
        "output_tokens": 340,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
    }
    return cast("Event", fields | changes)


def use(account: User, credits: str | int | Decimal, *, now: datetime = NOW, at: datetime | None = None) -> None:
    """Record one request of exactly this price, reported at `now` and made then too, or `at`."""
    request = event(
        account,
        f"{account.id} {now.isoformat()} {at} {credits}",
        model="claude-haiku-4-5",
        occurred_at=at or now,
        input_tokens=int(Decimal(credits) * TOKENS_PER_CREDIT),
        output_tokens=0,
    )
    receipt = recording.record([request], max_age=timedelta.max, now=now)
    assert receipt.accepted == 1, receipt


def left(account: User) -> list[tuple[str, Decimal]]:
    """Return the kind and the remaining credits of each grant that can still be drawn, in the order of spending."""
    grants = Grant.objects.filter(account=account, remaining__gt=0)
    in_order = grants.order_by("kind", F("expires_at").asc(nulls_last=True), "created_at", "id")
    return [(Grant.Kind(grant.kind).name.lower(), grant.remaining) for grant in in_order]


def remaining(account: User) -> Decimal:
    return sum(Grant.objects.filter(account=account).values_list("remaining", flat=True), Decimal(0))


def debt(account: User) -> Decimal:
    return Wallet.objects.values_list("debt", flat=True).get(account=account)


def period(account: User) -> CreditPeriod:
    """The open one."""
    return CreditPeriod.objects.get(account=account, closed_at=None)


def history(account: User) -> list[tuple[str, Decimal]]:
    return list(LedgerEntry.objects.filter(account=account).order_by("id").values_list("kind", "amount"))


def assert_books_balance() -> None:
    assert list(differences()) == []


def at_once(jobs: list[Callable[[], T]]) -> list[T]:
    """Run every job in a thread and a connection of its own, all starting together; the first error is raised."""
    start = Barrier(len(jobs))

    def run(job: Callable[[], T]) -> T:
        try:
            start.wait(timeout=30)
            return job()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as threads:
        return [future.result() for future in [threads.submit(run, job) for job in jobs]]


def wait_until_someone_waits() -> None:
    """Until another connection to this database waits for a lock."""
    with connection.cursor() as cursor:
        for _ in range(1000):
            cursor.execute(
                "SELECT count(*), pg_sleep(0.01) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0]:
                return
            # Inside a transaction PostgreSQL shows the same activity again until told to forget it.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
    raise AssertionError("Nobody came to wait.")
