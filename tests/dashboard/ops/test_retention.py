"""The nightly deletions of the worker, and the jobs that a dead worker leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone
from procrastinate import App
from procrastinate.contrib.django import app
from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate.contrib.django.models import ProcrastinateJob
from procrastinate.jobs import Job
from pytest_django import Settings

from credits.models import AIModel, Hold
from dashboard import tasks
from dashboard.ops import retention
from sidekick.accounts import device_sessions
from sidekick.accounts.api import throttling
from sidekick.accounts.models import DeviceSession, Letter, User
from tests.credits.books import at_once

NOW = timezone.now()


def session(user: User, *, unseen: timedelta, ended: bool = False) -> DeviceSession:
    found = device_sessions.start(user, ip="127.0.0.1", user_agent="tests").session
    DeviceSession.objects.filter(id=found.id).update(last_seen=NOW - unseen, created_at=NOW - unseen)
    if ended:
        DeviceSession.objects.filter(id=found.id).end(DeviceSession.Ended.SIGNED_OUT, NOW - unseen)
    return found


@pytest.mark.django_db
def test_sessions_are_kept_for_ninety_days_after_their_end(alice: User, settings: Settings) -> None:  # O4
    limit = settings.SESSION_IDLE_LIMIT + timedelta(days=90)
    kept = [
        session(alice, unseen=timedelta(0)),
        session(alice, unseen=limit - timedelta(minutes=1)),
        session(alice, unseen=limit - timedelta(minutes=1), ended=True),
    ]
    for ended in (True, False):
        session(alice, unseen=limit + timedelta(minutes=1), ended=ended)
    assert retention.clean(NOW)["device_sessions"] == 2
    assert set(DeviceSession.objects.all()) == set(kept)


@pytest.mark.django_db
def test_holds_are_kept_as_long_as_usage_may_name_them(alice: User, settings: Settings) -> None:  # M4 O4
    limit = settings.USAGE_MAX_AGE + timedelta(days=30)
    moments = {"created_at": NOW - 2 * limit, "expires_at": NOW - 2 * limit}
    fields = {"account": alice, "model": AIModel.objects.first(), "amount": 1, "input_tokens": 1} | moments
    ended = {"old": NOW - limit - timedelta(minutes=1), "young": NOW - limit + timedelta(minutes=1), "open": None}
    for name, at in ended.items():
        state = "settled" if at else "open"
        Hold.objects.create(request_id=name, max_output_tokens=1, state=state, ended_at=at, **fields)
    assert retention.clean(NOW)["holds"] == 1
    assert set(Hold.objects.values_list("request_id", flat=True)) == {"young", "open"}


@pytest.mark.django_db
def test_counts_of_requests_are_forgotten_after_a_day() -> None:  # O4
    for name, age in (("old", timedelta(hours=25)), ("young", timedelta(hours=23))):
        throttling.count(name, 5, NOW - age)
    assert retention.clean(NOW)["request_counts"] == 1


@pytest.mark.django_db
def test_emails_are_kept_for_half_a_year_and_those_that_wait_for_ever(alice: User) -> None:  # O4
    old = NOW - timedelta(days=181)
    for when, done in ((NOW, True), (old, True), (old, False)):
        sent = {"due_at": None, "sent_at": when} if done else {"due_at": when}
        Letter.objects.create(account=alice, template="x", to=alice.email, subject="x", created_at=when, **sent)
    assert retention.clean(NOW)["emails"] == 1
    assert list(Letter.objects.filter(created_at=old).values_list("sent_at", flat=True)) == [None]


@pytest.mark.django_db
def test_what_expired_in_the_cache_goes(alice: User) -> None:  # O4
    cache.clear()
    cache.set("short", 1, 60)
    cache.set("long", 1, 7200)
    assert retention.clean(NOW + timedelta(hours=1))["cache"] == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT cache_key FROM cache")
        assert [key for (key,) in cursor.fetchall()] == [":1:long"]


@pytest.mark.django_db
def test_more_than_a_batch_goes_too(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for _ in range(5):
        session(alice, unseen=timedelta(days=365))
    assert retention.clean(NOW)["device_sessions"] == 5


def empty_queue() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, procrastinate_workers, procrastinate_periodic_defers CASCADE")


@pytest.fixture
def queue(transactional_db: None) -> Iterator[None]:
    """The flush after a test passes the queue's tables by."""
    empty_queue()
    yield
    empty_queue()


def free_and_fetch() -> Job | None:
    """Free what stalled, and take what a worker would be given next."""
    assert isinstance(app.connector, DjangoConnector)
    with app.replace_connector(app.connector.get_worker_connector()) as working:
        # Playwright's loop may run in this thread.
        return at_once([lambda: asyncio.run(_free_and_fetch(working))])[0]


async def _free_and_fetch(working: App) -> Job | None:
    async with working.open_async():
        await tasks.free(working.job_manager)
        worker_id = await working.job_manager.register_worker()
        return await working.job_manager.fetch_job(queues=None, worker_id=worker_id)


def defer(timestamp: int) -> int:
    return app.configure_task("dashboard.tasks.clean", lock="clean", queueing_lock="clean").defer(timestamp=timestamp)


def leave_behind(worker: str) -> int:
    """A job that a worker had begun."""
    job_id = defer(0)
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH worker AS (INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - %s::interval)"
            " RETURNING id)"
            " UPDATE procrastinate_jobs SET status = 'doing', worker_id = worker.id FROM worker"
            " WHERE procrastinate_jobs.id = %s",
            [worker, job_id],
        )
    return job_id


@pytest.mark.usefixtures("queue")
def test_a_job_whose_worker_died_is_done_again() -> None:  # O4
    left = leave_behind("31 seconds")
    job = free_and_fetch()
    assert job
    assert job.id == left


@pytest.mark.usefixtures("queue")
def test_a_job_left_behind_gives_way_to_the_next_of_its_kind() -> None:  # O4
    left = leave_behind("31 seconds")
    following = defer(60)
    job = free_and_fetch()
    assert job
    assert job.id == following
    assert not ProcrastinateJob.objects.filter(id=left).exists()


@pytest.mark.usefixtures("queue")
def test_a_job_that_is_being_done_is_left_alone() -> None:
    leave_behind("5 seconds")
    defer(60)
    assert free_and_fetch() is None
