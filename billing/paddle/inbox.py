"""The inbox of Paddle's events: each is stored once, applied, and tried again until that succeeds (P1, P3).

An event's `data` is the whole entity as it was at `occurred_at`; applying it means to upsert that entity's snapshot.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TypeVar

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from billing.models import PaddleEvent
from billing.paddle import schemas, snapshots
from sidekick.retries import pause_after

State = PaddleEvent.State
APPLIED_AT_ONCE = 500

T = TypeVar("T")
logger = logging.getLogger(__name__)


def receive(body: bytes, *, now: datetime | None = None) -> tuple[PaddleEvent, bool]:
    """Store the event in `body` and apply it, in one transaction. Returns it and whether it is new.

    An event that is known (a retry, a replay, another delivery at this moment) is left as it is. Raises
    `MalformedData` for a body that is no event; nothing is stored then.
    """
    now = now or timezone.now()
    envelope = schemas.envelope(body)
    event = PaddleEvent(
        event_id=envelope.event_id,
        notification_id=envelope.notification_id or "",
        event_type=envelope.event_type,
        entity_id=envelope.entity_id,
        occurred_at=envelope.occurred_at,
        body=body.decode(),
        attempts=1,
        received_at=now,
    )
    new, error = attempt(partial(_store_and_apply, event, envelope, now))
    if error is not None:
        # The rollback dropped our row. Store it as failed unless another delivery stored it first.
        event.applied_at = None
        _mark_failed(event, error, now)
        new = event.store()
    if not new:
        return PaddleEvent.objects.get(event_id=envelope.event_id), False
    _log(event)
    return event, True


def apply_again(event_id: str, *, now: datetime | None = None) -> PaddleEvent | None:
    """Apply a stored event once more, whatever its state. Returns None while another process applies it.

    Applying an event twice changes nothing. An event whose account was deleted has no body left: None as well.
    """
    PaddleEvent.objects.filter(event_id=event_id).update(attempts=F("attempts") + 1)
    return _apply_stored(event_id, now or timezone.now())


def apply_due(now: datetime) -> int:
    """Apply the events whose pause is over, each in a transaction of its own. Returns how many were due.

    The worker calls this every minute.
    """
    due = list(PaddleEvent.objects.due(now).values_list("event_id", "attempts")[:APPLIED_AT_ONCE])
    for event_id, attempts in due:
        # Count the attempt and put off the next one first: an event that kills the worker must not block the queue.
        still_due = PaddleEvent.objects.due(now).filter(event_id=event_id)
        if still_due.update(attempts=attempts + 1, due_at=now + pause_after(attempts + 1)):
            # Wait for its row: a worker that came too late for this event may hold it for an instant.
            _, error = attempt(partial(_apply_stored, event_id, now, wait=True))
            if error is not None:
                # It failed at its commit, so it could not be marked as failed. Its next attempt is put off already.
                logger.error("paddle event %s can't be committed", event_id, exc_info=error)
    return len(due)


def attempt(work: Callable[[], T]) -> tuple[T | None, Exception | None]:
    """Do one piece of a queue's work. Returns its result, or the error that stopped it.

    The only `except Exception` of the project. Paddle may send what nobody foresaw, so any error may come of it, and
    none may be lost or hold up the pieces behind it: callers store the error with its event, or log it and try again.
    `KeyboardInterrupt` and `SystemExit` are no `Exception` and pass.
    """
    try:
        return work(), None
    except Exception as error:
        return None, error


def _store_and_apply(event: PaddleEvent, envelope: schemas.Envelope, now: datetime) -> bool:
    """Returns False where the event is known already."""
    event.due_at = None
    if envelope.entity not in snapshots.ENTITIES:
        event.state = State.IGNORED
        return event.store()
    # Store it as applied, which nearly all events become: the row is seen by others only when that is true.
    event.state, event.applied_at = State.APPLIED, now
    with transaction.atomic():
        if not event.store():
            return False
        if not _upsert(envelope, now):
            event.state, event.applied_at = State.STALE, None
            event.save(update_fields=["state", "applied_at"])
    return True


def _apply_stored(event_id: str, now: datetime, *, wait: bool = False) -> PaddleEvent | None:
    with transaction.atomic():
        # Deleting an account empties the bodies of its events: nothing is left to apply.
        told = PaddleEvent.objects.filter(event_id=event_id).exclude(body="")
        event = told.select_for_update(skip_locked=not wait).first()
        if event:
            _apply(event, now)
    return event


def _apply(event: PaddleEvent, now: datetime) -> None:
    """Apply an event whose row is locked, and note what became of it."""
    state, error = attempt(partial(_applied, event, now))
    if error is not None:
        _mark_failed(event, error, now)
    elif state:
        event.state, event.error, event.due_at = state, "", None
        event.applied_at = now if state == State.APPLIED else event.applied_at
    event.save(update_fields=["state", "error", "due_at", "applied_at"])
    _log(event)


@transaction.atomic
def _applied(event: PaddleEvent, now: datetime) -> PaddleEvent.State:
    envelope = schemas.envelope(event.body.encode())
    if envelope.entity not in snapshots.ENTITIES:
        return State.IGNORED
    return State.APPLIED if _upsert(envelope, now) else State.STALE


def _upsert(envelope: schemas.Envelope, now: datetime) -> bool:
    return snapshots.upsert(envelope.entity, envelope.data, (envelope.occurred_at, envelope.event_id), now=now)


def _mark_failed(event: PaddleEvent, error: Exception, now: datetime) -> None:
    # The log has its type and place, which tell a bug of ours from new data of Paddle's; its message stays out.
    logger.error("paddle event %s failed", event.event_id, exc_info=error)
    event.state, event.due_at = State.FAILED, now + pause_after(event.attempts)
    # PostgreSQL's further lines quote the row, and with it the customer.
    event.error = f"{type(error).__name__}: {error}".splitlines()[0]


def _log(event: PaddleEvent) -> None:
    logger.info("paddle event %s %s: %s", event.event_id, event.event_type, event.state)
