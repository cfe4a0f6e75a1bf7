"""The newest record of each of Paddle's entities, and all that follows when it changes (P2).

Paddle sends whole entities, never differences: the newest one wins, in whatever order they come and however often.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from billing import emails, fulfilment, ownership
from billing.models import Adjustment, Customer, Snapshot, Subscription, Transaction
from billing.paddle import schemas
from billing.paddle.schemas import MalformedData

# An event's type begins with the name of its entity, so types that Paddle adds for these are understood as well.
ENTITIES: dict[str, tuple[type[Snapshot], type[schemas.Data]]] = {
    "customer": (Customer, schemas.CustomerData),
    "subscription": (Subscription, schemas.SubscriptionData),
    "transaction": (Transaction, schemas.TransactionData),
    "adjustment": (Adjustment, schemas.AdjustmentData),
}
PREFIXES = {"ctm": "customer", "sub": "subscription", "txn": "transaction", "adj": "adjustment"}
FROM_THE_API = ""
BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)

# The moment of a snapshot and the event that brought it. Two events may share a microsecond: compare both.
Stamp = tuple[datetime, str]

logger = logging.getLogger(__name__)


def upsert(kind: str, entity: dict[str, Any], stamp: Stamp, *, now: datetime) -> bool:
    """Make this the snapshot of its entity, with all that follows. Returns False when a newer one is known.

    `kind` is a key of `ENTITIES`, `entity` Paddle's JSON. Call it in a transaction. Raises `MalformedData`.

    Locks are taken in this order: the entity's and its customer's names, the entity's row, the account's wallet.
    """
    model, schema = ENTITIES[kind]
    data = schemas.read(schema, entity)
    _lock_names(data)
    return _replace(model, data, entity, stamp, now)


def upsert_from_api(entity: dict[str, Any], *, now: datetime | None = None) -> bool:
    """Upsert an entity that was read from Paddle's API with our key, as it was at its `updated_at`.

    Returns whether it told something new; what is newer here already stays. Raises `MalformedData`.
    """
    now = now or timezone.now()
    model, schema = ENTITIES[_kind_of(entity)]
    data = schemas.read(schema, entity)
    stamp = schemas.read(schemas.Updated, entity).updated_at, FROM_THE_API
    with transaction.atomic():
        _lock_names(data)
        known = model._default_manager.filter(id=data.id).first()
        if known and all(getattr(known, name) == value for name, value in data.columns().items()):
            return False
        # An event's time is a little later than the entity's `updated_at`: compare by the entity's own.
        if known and _updated_at(known.data) < stamp[0]:
            stamp = max(stamp, (known.snapshot_at, known.snapshot_event))
        return _replace(model, data, entity, stamp, now)


def upsert_response(entity: dict[str, Any]) -> None:
    """Upsert what Paddle returned from a change of ours, which is done by then.

    What can't be read is logged, never raised: the change's event will tell it.
    """
    try:
        upsert_from_api(entity)
    except MalformedData as error:
        logger.warning("paddle's answer about %s can't be read: %s", entity.get("id"), error)


def _kind_of(entity: dict[str, Any]) -> str:
    prefix = str(entity.get("id", "")).split("_")[0]
    if prefix not in PREFIXES:
        raise MalformedData("id: This names nothing that is kept here.")
    return PREFIXES[prefix]


def _updated_at(data: dict[str, Any]) -> datetime:
    try:
        return schemas.read(schemas.Updated, data).updated_at
    except MalformedData:
        return BEFORE_ALL


def _lock_names(data: schemas.Data) -> None:
    """Lock the names of this entity and of its customer until the transaction ends.

    A subscription and its payments write in each other's rows: the customer's name makes them wait in line before
    either has locked a row.
    """
    customer_id = data.id if isinstance(data, schemas.CustomerData) else data.customer_id or data.id
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0)), pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [data.id, customer_id],
        )


def _replace(model: type[Snapshot], data: schemas.Data, entity: dict[str, Any], stamp: Stamp, now: datetime) -> bool:
    found = model._default_manager.select_for_update(of=("self",)).filter(id=data.id)
    # One row at most: `first` would sort it.
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
    affected = ownership.resolve_owner(snapshot)
    if isinstance(snapshot, Customer) and snapshot.account and snapshot.account.deleted_at:
        # Paddle goes on telling of a customer whose account is gone here.
        snapshot.forget()
    snapshot.save(force_insert=known is None)
    if isinstance(snapshot, Transaction) and snapshot.subscription_id:
        # The clock may have drawn the consequences of its subscription's end without it, and must look again.
        ended = Subscription.objects.filter(id=snapshot.subscription_id, wound_up_at__isnull=False)
        ended.update(wound_up_at=None)
    refunded = {snapshot.transaction_id} if isinstance(snapshot, Adjustment) else set()
    # In the order of account ids, as every writer locks wallets.
    for account_id in sorted(affected):
        fulfilment.fulfil(account_id, refunded, now=now)
    if isinstance(snapshot, Subscription):
        emails.subscription_changed(snapshot, was_ending=was_ending)
    return True
