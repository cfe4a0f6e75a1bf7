"""Recording what AI requests used: price, store, count, draw, in one transaction (M1–M3, M5, M6)."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from credits.ledger import spending
from credits.ledger.locking import locked
from credits.models import Hold
from credits.usage import charging, pricing, storing
from credits.usage.pricing import Priced, canonical_id
from credits.usage.schemas import Event, Receipt, RejectionCode


def record(events: Sequence[Event], *, max_age: timedelta | None = None, now: datetime | None = None) -> Receipt:
    """Record requests of any accounts: rows, rollups and balances move together or not at all.

    `events` are validated (`TypeAdapter(list[Event])`), in any order, `MOST_EVENTS` at most for a good pace.
    Sending an event again changes nothing: it counts as a duplicate, or as a conflict when its content differs.
    `max_age` is how old a request may be (settings.USAGE_MAX_AGE); `timedelta.max` takes any age, for imports.

    Two calls that share an account follow each other at its wallet's lock, so each sees the rows of the other;
    a crash before the commit leaves nothing. Usage beyond what is there becomes debt (M5).
    """
    now = now or timezone.now()
    receipt = Receipt()
    if not events:
        return receipt
    priced = pricing.price(events, settings.USAGE_MAX_AGE if max_age is None else max_age, now, receipt)
    accounts = {uuid.UUID(account) for account in {p.account_id for p in priced}}
    with locked(accounts, now) as wallets:
        # Accounts that don't exist have no wallet.
        known = {str(account) for account in wallets}
        priced = _with_own_holds([p for p in priced if _known(p, known, receipt)], receipt)
        fresh, repeated = storing.store(priced, receipt)
        _settle(fresh + repeated, now)
        if fresh:
            storing.roll_up(fresh)
            charging.charge(fresh, now)
    receipt.accepted = len(fresh)
    # Events are rejected at several steps; the caller reads them in the order of its own list.
    receipt.rejected.sort(key=lambda rejected: rejected.index)
    return receipt


def _known(priced: Priced, known: Collection[str], receipt: Receipt) -> bool:
    if priced.account_id in known:
        return True
    receipt.reject(priced.position, priced.event, RejectionCode.UNKNOWN_ACCOUNT, "There is no such account.")
    return False


def _with_own_holds(priced: list[Priced], receipt: Receipt) -> list[Priced]:
    """Reject events that name a hold of another account, or of none."""
    named = {p.hold_id for p in priced if p.hold_id is not None}
    # Most calls name no hold, and ask nothing.
    if not named:
        return priced
    ids = [hold_id for text in named if (hold_id := canonical_id(text))]
    owners = {str(hold): str(owner) for hold, owner in Hold.objects.filter(id__in=ids).values_list("id", "account_id")}
    own = []
    for p in priced:
        if p.hold_id is None or owners.get(canonical_id(p.hold_id) or "") == p.account_id:
            own.append(p)
        else:
            receipt.reject(p.position, p.event, RejectionCode.INVALID, "hold: This account has no such hold.")
    return own


def _settle(priced: Iterable[Priced], now: datetime) -> None:
    """Settle the holds that these requests name; their real cost is drawn separately, or was before."""
    # PostgreSQL knows fewer spellings of an id than Python does.
    holds = {hold_id for p in priced if p.hold_id and (hold_id := canonical_id(p.hold_id))}
    if holds:
        spending.end_holds(holds, Hold.State.SETTLED, now)
