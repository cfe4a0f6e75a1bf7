"""What Paddle's events do: each is stored once, then brings the snapshot of its entity up to date (P1–P3).

An event's `data` is the whole entity as it was at `occurred_at`; the newest one wins, whatever order they come in and
however often. What follows from a payment (`effects`) is derived from the stored snapshots, never from the event or
its type.

Locks are taken in this order: the event's row, its customer's name, its entity's row, the account's wallet. Events of
one customer follow each other by the lock of the name, so those of a subscription and its payments, which write in
each other's rows, can't wait for each other.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from billing import emails, fulfilment, ownership
from billing.models import Adjustment, Customer, PaddleEvent, Snapshot, Subscription, Transaction
from billing.paddle import schemas
from billing.paddle.schemas import Unreadable
from sidekick.retries import pause_after

State = PaddleEvent.State
APPLIED_AT_ONCE = 500

# The first word of an event's type names its entity. A type that Paddle adds for one of these is understood as well.
ENTITIES: dict[str, tuple[type[Snapshot], type[schemas.Data]]] = {
    "customer": (Customer, schemas.CustomerData),
    "subscription": (Subscription, schemas.SubscriptionData),
    "transaction": (Transaction, schemas.TransactionData),
    "adjustment": (Adjustment, schemas.AdjustmentData),
}

PREFIXES = {"ctm": "customer", "sub": "subscription", "txn": "transaction", "adj": "adjustment"}
FROM_THE_API = ""
BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)

logger = logging.getLogger(__name__)


def receive(body: bytes, *, now: datetime | None = None) -> tuple[PaddleEvent, bool]:
    """Store the event in `body` and apply it, in one transaction. Answers it and whether it is new.

    An event that is known (a retry, a replay, another delivery at this moment) is left as it is. Raises `Unreadable`
    for a body that is no event; nothing is stored then.
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
    try:
        new = _store_and_take(event, envelope, now)
    except fulfilment.FAILURES as error:
        # With it went the row. Another delivery may have stored it since, and what became of that one counts.
        event.applied_at = None
        _failed(event, error, now)
        new = event.store()
    if not new:
        return PaddleEvent.objects.get(event_id=envelope.event_id), False
    _log(event)
    return event, True


def _store_and_take(event: PaddleEvent, envelope: schemas.Envelope, now: datetime) -> bool:
    """Store it as what nearly all events become, which nobody sees before it is so, and apply it. False if known."""
    event.due_at = None
    if envelope.entity not in ENTITIES:
        event.state = State.IGNORED
        return event.store()
    event.state, event.applied_at = State.APPLIED, now
    with transaction.atomic():
        if not event.store():
            return False
        if not _take(envelope, now):
            event.state, event.applied_at = State.STALE, None
            event.save(update_fields=["state", "applied_at"])
    return True


def learn(entity: dict[str, Any], *, now: datetime | None = None) -> bool:
    """Take an entity that was read from Paddle's API with our key, as it was at its `updated_at`.

    Answers whether it told something new; what is newer here already stays. Raises `Unreadable`.
    """
    now = now or timezone.now()
    model, shape = _kind_of(entity)
    data = schemas.read(shape, entity)
    stamp = schemas.read(schemas.Updated, entity).updated_at, FROM_THE_API
    with transaction.atomic():
        _one_at_a_time(data)
        known = model._default_manager.filter(id=data.id).first()
        if known and all(getattr(known, name) == value for name, value in data.columns().items()):
            return False
        # An event is told a moment after the change it tells of: by the entity's own clock it may yet be the older.
        if known and _updated_at(known.data) < stamp[0]:
            stamp = max(stamp, (known.snapshot_at, known.snapshot_event))
        return _keep(model, data, entity, stamp, now)


def take_note(entity: dict[str, Any]) -> None:
    """`learn` what Paddle answered to a change, which is done by then: what can't be read, its event will tell."""
    try:
        learn(entity)
    except Unreadable as error:
        logger.warning("paddle's answer about %s can't be read: %s", entity.get("id"), error)


def _kind_of(entity: dict[str, Any]) -> tuple[type[Snapshot], type[schemas.Data]]:
    prefix = str(entity.get("id", "")).split("_")[0]
    if prefix not in PREFIXES:
        raise Unreadable("id: This names nothing that is kept here.")
    return ENTITIES[PREFIXES[prefix]]


def _updated_at(data: dict[str, Any]) -> datetime:
    try:
        return schemas.read(schemas.Updated, data).updated_at
    except Unreadable:
        return BEFORE_ALL


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
        if still_due.update(attempts=attempts + 1, due_at=now + pause_after(attempts + 1)):
            # Another worker that came too late for it may hold its row for an instant.
            _apply_next(event_id, now)
    return len(due)


def _apply_next(event_id: str, now: datetime) -> None:
    """What can't even be committed is put off already, and must not keep those behind it waiting."""
    try:
        _apply_stored(event_id, now, wait=True)
    except fulfilment.FAILURES:
        logger.exception("paddle event %s can't be committed", event_id)


def _apply_stored(event_id: str, now: datetime, *, wait: bool = False) -> PaddleEvent | None:
    with transaction.atomic():
        # Of whom an account was deleted, nothing is left to apply.
        told = PaddleEvent.objects.filter(event_id=event_id).exclude(body="")
        event = told.select_for_update(skip_locked=not wait).first()
        if event:
            _apply(event, now)
    return event


def _apply(event: PaddleEvent, now: datetime) -> None:
    """Apply an event that is locked, and note what became of it. Applying one twice is as good as once."""
    try:
        with transaction.atomic():
            envelope = schemas.envelope(event.body.encode())
            if envelope.entity not in ENTITIES:
                event.state = State.IGNORED
            elif _take(envelope, now):
                event.state, event.applied_at = State.APPLIED, now
            else:
                event.state = State.STALE
        event.error, event.due_at = "", None
    except fulfilment.FAILURES as error:
        _failed(event, error, now)
    event.save(update_fields=["state", "error", "due_at", "applied_at"])
    _log(event)


def _failed(event: PaddleEvent, error: Exception, now: datetime) -> None:
    """It changes nothing, keeps its error and is tried again after a pause."""
    event.state, event.due_at = State.FAILED, now + pause_after(event.attempts)
    # PostgreSQL's further lines quote the row, and with it the customer.
    event.error = f"{type(error).__name__}: {error}".splitlines()[0]


def _log(event: PaddleEvent) -> None:
    logger.info("paddle event %s %s: %s", event.event_id, event.event_type, event.state)


def _take(envelope: schemas.Envelope, now: datetime) -> bool:
    """Make what an event tells the snapshot of its entity, with all that follows. False when a newer one is known."""
    model, shape = ENTITIES[envelope.entity]
    data = schemas.read(shape, envelope.data)
    _one_at_a_time(data)
    return _keep(model, data, envelope.data, (envelope.occurred_at, envelope.event_id), now)


def _one_at_a_time(data: schemas.Data) -> None:
    """Until the transaction ends nothing else is taken of this entity, nor of its customer."""
    customer_id = data.id if isinstance(data, schemas.CustomerData) else data.customer_id or data.id
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0)), pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [data.id, customer_id],
        )


def _keep(
    model: type[Snapshot], data: schemas.Data, entity: dict[str, Any], stamp: tuple[datetime, str], now: datetime
) -> bool:
    """Make this the snapshot of its entity, with all that follows. False when a newer one is known."""
    found = model._default_manager.select_for_update(of=("self",)).filter(id=data.id)
    # One at most, so there is nothing to sort, as `first` would.
    known = next(iter(found), None)
    if known and (known.snapshot_at, known.snapshot_event) > stamp:
        return False
    was_ending = isinstance(known, Subscription) and known.change_action == emails.ENDING
    snapshot = known or model(id=data.id)
    snapshot.snapshot_at, snapshot.snapshot_event = stamp
    snapshot.data = entity
    for name, value in data.columns().items():
        setattr(snapshot, name, value)
    if isinstance(snapshot, Subscription):
        snapshot.wound_up_at = None
    affected = ownership.recognise(snapshot)
    if isinstance(snapshot, Customer) and snapshot.account and snapshot.account.deleted_at:
        # Paddle goes on telling of a customer whose account is gone here.
        snapshot.forget()
    snapshot.save(force_insert=known is None)
    if isinstance(snapshot, Transaction) and snapshot.subscription_id:
        # The clock may have drawn the consequences of its subscription's end without it, and must look again.
        ended = Subscription.objects.filter(id=snapshot.subscription_id, wound_up_at__isnull=False)
        ended.update(wound_up_at=None)
    refunded = {snapshot.transaction_id} if isinstance(snapshot, Adjustment) else set()
    for account_id in sorted(affected):
        fulfilment.settle(account_id, refunded, now=now)
    if isinstance(snapshot, Subscription):
        emails.follow(snapshot, was_ending=was_ending)
    return True
