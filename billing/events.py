"""What Paddle's events do: each is stored once, then brings the snapshot of its entity up to date (P1–P3).

An event's `data` is the whole entity as it was at `occurred_at`; the newest one wins, whatever order they come in and
however often. Everything that follows from a payment (credits, periods, refunds) is to be derived from the stored
snapshots, never from the event or its type. Nothing follows yet: no credits move here so far.

Locks are taken in this order: the event's row, then its entity's.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import DatabaseError, transaction
from django.db.models import F
from django.utils import timezone

from billing import shapes
from billing.models import Adjustment, PaddleEvent, Snapshot, Subscription, Transaction
from billing.shapes import Envelope, Unreadable

State = PaddleEvent.State
FIRST_PAUSE = timedelta(minutes=1)
DOUBLINGS = 10  # Pauses grow from a minute to 17 hours, and stay there: nothing is given up.
APPLIED_AT_ONCE = 500

# The first word of an event's type names its entity. A type that Paddle adds for one of these is understood as well.
ENTITIES: dict[str, tuple[type[Snapshot], type[shapes.Data]]] = {
    "subscription": (Subscription, shapes.SubscriptionData),
    "transaction": (Transaction, shapes.TransactionData),
    "adjustment": (Adjustment, shapes.AdjustmentData),
}

logger = logging.getLogger(__name__)


def receive(body: bytes, *, now: datetime | None = None) -> tuple[PaddleEvent, bool]:
    """Store the event in `body` and apply it, in one transaction. Answers it and whether it is new.

    An event that is known (a retry, a replay, another delivery at this moment) is left as it is. Raises `Unreadable`
    for a body that is no event; nothing is stored then.
    """
    now = now or timezone.now()
    envelope = shapes.envelope(body)
    with transaction.atomic():
        event, new = PaddleEvent.objects.get_or_create(
            event_id=envelope.event_id,
            defaults={
                "notification_id": envelope.notification_id or "",
                "event_type": envelope.event_type,
                "entity_id": envelope.entity_id,
                "occurred_at": envelope.occurred_at,
                "body": body.decode(),
                "attempts": 1,
                "received_at": now,
                "due_at": now,
            },
        )
        if new:
            apply(event, now=now)
    return event, new


def apply(event: PaddleEvent, *, now: datetime) -> None:
    """Apply an event that is locked, and note what became of it.

    An event that can't be read or that the database refuses changes nothing, keeps its error and is tried again
    after a pause. Applying one twice is as good as once.
    """
    event.error, event.due_at = "", None
    try:
        with transaction.atomic():
            event.state = _take(event)
    except (Unreadable, DatabaseError) as error:
        event.state, event.due_at = State.FAILED, now + _pause_after(event.attempts)
        # PostgreSQL's further lines quote the row, and with it the customer.
        event.error = f"{type(error).__name__}: {error}".splitlines()[0]
    if event.state == State.APPLIED:
        event.applied_at = now
    event.save()
    logger.info("paddle event %s %s: %s", event.event_id, event.event_type, event.state)


def apply_again(event_id: str, *, now: datetime | None = None) -> PaddleEvent | None:
    """Apply a stored event once more, whatever became of it so far. None when another is doing it at this moment."""
    PaddleEvent.objects.filter(event_id=event_id).update(attempts=F("attempts") + 1)
    return _apply_stored(event_id, now or timezone.now())


def apply_due(now: datetime) -> int:
    """What the worker does every minute: events that wait and are due, each in a transaction of its own.

    The attempt is counted and the next one put off before it starts: an event that ends the worker can't keep the
    others waiting.
    """
    due = list(PaddleEvent.objects.due(now).values_list("event_id", "attempts")[:APPLIED_AT_ONCE])
    for event_id, attempts in due:
        still_due = PaddleEvent.objects.due(now).filter(event_id=event_id)
        if still_due.update(attempts=attempts + 1, due_at=now + _pause_after(attempts + 1)):
            _apply_stored(event_id, now)
    return len(due)


def _apply_stored(event_id: str, now: datetime) -> PaddleEvent | None:
    with transaction.atomic():
        event = PaddleEvent.objects.select_for_update(skip_locked=True).filter(event_id=event_id).first()
        if event:
            apply(event, now=now)
    return event


def _pause_after(attempts: int) -> timedelta:
    return FIRST_PAUSE * (1 << min(attempts - 1, DOUBLINGS))


def _take(event: PaddleEvent) -> PaddleEvent.State:
    entity = ENTITIES.get(event.event_type.split(".")[0])
    if entity is None:
        return State.IGNORED
    model, shape = entity
    envelope = shapes.envelope(event.body.encode())
    return _keep(model, shapes.read(shape, envelope.data), envelope)


def _keep(model: type[Snapshot], data: shapes.Data, envelope: Envelope) -> PaddleEvent.State:
    """Make this the snapshot of its entity, unless a newer one is known. Two that come at once take turns."""
    columns = data.columns() | {
        "snapshot_at": envelope.occurred_at,
        "snapshot_event": envelope.event_id,
        "data": envelope.data,
    }
    snapshot, new = model._default_manager.select_for_update().get_or_create(id=data.id, defaults=columns)
    if new:
        return State.APPLIED
    if (snapshot.snapshot_at, snapshot.snapshot_event) > (envelope.occurred_at, envelope.event_id):
        return State.STALE
    for name, value in columns.items():
        setattr(snapshot, name, value)
    snapshot.save()
    return State.APPLIED
