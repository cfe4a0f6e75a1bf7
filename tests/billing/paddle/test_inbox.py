"""The inbox: events are applied, stale, ignored, or fail and are tried again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection
from django.db import transaction as database
from django.utils import timezone

from billing import tasks
from billing.models import PaddleEvent, Transaction
from billing.paddle import inbox, snapshots
from tests.billing.bodies import (
    APRIL,
    MARCH,
    Body,
    event,
    receive,
    stored_snapshots,
    transaction,
)
from tests.credits.books import at_once

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 5, 10, 12, 7, 30, tzinfo=UTC)


def take(body: Body, now: datetime = NOW) -> PaddleEvent:
    return receive(body, now)


def test_a_failed_event_is_tried_again_with_growing_pauses() -> None:  # P3
    failed = take(event(1, "transaction.completed", transaction(details=None)))
    now, pauses = NOW, []
    for _ in range(14):
        assert failed.due_at
        assert inbox.apply_due(failed.due_at - timedelta(seconds=1)) == 0
        pauses.append(failed.due_at - now)
        now = failed.due_at
        assert inbox.apply_due(now) == 1
        failed.refresh_from_db()
        assert failed.state == "failed"
    assert [pause.total_seconds() / 60 for pause in pauses] == [min(2**turn, 1024) for turn in range(14)]
    assert failed.attempts == 15


def test_a_failed_event_heals_when_what_hurt_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:  # P3
    with monkeypatch.context() as patched:
        patched.setitem(snapshots.ENTITIES, "transaction", snapshots.ENTITIES["adjustment"])
        failed = take(event(1, "transaction.completed", transaction()), timezone.now() - timedelta(minutes=2))
        assert failed.state == "failed"
    tasks.apply_paddle_events(0)
    failed.refresh_from_db()
    assert (failed.state, failed.error, failed.attempts, failed.due_at) == ("applied", "", 2, None)
    assert Transaction.objects.get().status == "completed"


def test_a_bug_of_ours_leaves_its_place_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:  # P3 O3
    def break_down(*_: object, **__: object) -> bool:
        raise AttributeError("a bug")

    monkeypatch.setattr(snapshots, "upsert", break_down)
    failed = take(event(1, "transaction.completed", transaction()))
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (failed.state, record.message) == ("failed", f"paddle event {failed.event_id} failed")
    assert record.exc_info
    assert record.exc_info[0] is AttributeError


def test_an_event_that_was_overtaken_while_it_failed_ends_stale(monkeypatch: pytest.MonkeyPatch) -> None:  # P2 P3
    with monkeypatch.context() as patched:
        patched.setitem(snapshots.ENTITIES, "transaction", snapshots.ENTITIES["adjustment"])
        failed = take(event(1, "transaction.updated", transaction(status="paid"), MARCH))
    take(event(2, "transaction.completed", transaction(), APRIL))
    inbox.apply_due(NOW + timedelta(hours=1))
    failed.refresh_from_db()
    assert failed.state == "stale"
    assert Transaction.objects.get().status == "completed"


def test_an_event_that_ends_the_worker_does_not_keep_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:  # P3
    take(event(1, "transaction.completed", transaction(details=None)))
    take(event(2, "transaction.completed", transaction(details=None)), NOW + timedelta(seconds=1))
    later = NOW + timedelta(minutes=5)

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(inbox, "_upsert", kill)
        with pytest.raises(KeyboardInterrupt):
            inbox.apply_due(later)
    assert list(PaddleEvent.objects.due(later).values_list("event_id", flat=True)) == [f"evt_01k{2:023}"]
    assert PaddleEvent.objects.get(event_id=f"evt_01k{1:023}").attempts == 2
    assert inbox.apply_due(later) == 1


def test_an_event_that_was_stored_but_never_applied_is_picked_up() -> None:  # P3
    body = json.dumps(event(1, "transaction.completed", transaction()))
    PaddleEvent.objects.create(
        event_id=f"evt_01k{1:023}", event_type="transaction.completed", occurred_at=NOW, body=body, due_at=NOW
    )
    assert inbox.apply_due(NOW) == 1
    assert PaddleEvent.objects.get().state == "applied"
    assert Transaction.objects.exists()


def test_applying_again_is_as_good_as_once() -> None:  # P2 P3
    take(event(1, "transaction.updated", transaction(1), MARCH))
    take(event(2, "transaction.completed", transaction(2), APRIL))
    before = stored_snapshots()
    for number in (2, 1, 1, 2):
        inbox.apply_again(f"evt_01k{number:023}")
    assert stored_snapshots() == before
    assert list(PaddleEvent.objects.order_by("event_id").values_list("state", flat=True)) == ["stale", "applied"]


@pytest.mark.django_db(transaction=True)
def test_eight_workers_try_each_due_event_once(monkeypatch: pytest.MonkeyPatch) -> None:  # P3
    for number in range(20):
        take(event(number, "transaction.completed", transaction(details=None)))
    later, apply_one = NOW + timedelta(minutes=1), inbox._apply
    tried: list[str] = []

    def note_and_apply(event: PaddleEvent, now: datetime) -> None:
        tried.append(event.event_id)
        apply_one(event, now)

    monkeypatch.setattr(inbox, "_apply", note_and_apply)
    at_once([lambda: inbox.apply_due(later)] * 8)
    assert sorted(tried) == [f"evt_01k{number:023}" for number in range(20)]
    assert set(PaddleEvent.objects.values_list("attempts", flat=True)) == {2}


def test_an_event_that_cannot_even_be_committed_keeps_no_other_waiting(monkeypatch: pytest.MonkeyPatch) -> None:  # P3
    for number in (1, 2):
        take(event(number, "transaction.completed", transaction(details=None)))
    first, apply_stored = f"evt_01k{1:023}", inbox._apply_stored
    tried: list[str] = []

    def break_off(event_id: str, now: datetime, *, wait: bool = False) -> PaddleEvent | None:
        tried.append(event_id)
        if event_id == first:
            raise OperationalError("COMMIT")
        return apply_stored(event_id, now, wait=wait)

    monkeypatch.setattr(inbox, "_apply_stored", break_off)
    later = NOW + timedelta(minutes=1)
    assert inbox.apply_due(later) == 2
    assert sorted(tried) == [first, f"evt_01k{2:023}"]
    assert PaddleEvent.objects.get(event_id=first).due_at == later + timedelta(minutes=2)


@pytest.mark.django_db(transaction=True)
def test_a_worker_leaves_alone_what_another_is_applying() -> None:  # P3
    take(event(1, "transaction.completed", transaction(details=None)))
    name = f"evt_01k{1:023}"

    def another() -> PaddleEvent | None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        return inbox._apply_stored(name, NOW)

    with database.atomic():
        PaddleEvent.objects.select_for_update().get(event_id=name)
        assert at_once([another]) == [None]


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "lost"},
        {"state": "failed"},
        {"error": "why"},
        {"state": "applied", "due_at": None},
        {"state": "stale"},
        {"due_at": None},
    ],
    ids=str,
)
def test_the_database_refuses_an_inbox_that_contradicts_itself(wrong: dict[str, Any]) -> None:  # P3
    row = {"event_id": "evt_1", "event_type": "a.b", "occurred_at": NOW, "body": "{}"}
    PaddleEvent.objects.create(**row)
    with pytest.raises(IntegrityError), database.atomic():
        PaddleEvent.objects.create(**{**row, "event_id": "evt_2", **wrong})
