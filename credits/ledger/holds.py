"""Holds: credits promised to a model call before it is made (M4).

Invariant: `Wallet.held` = Σ amounts of open holds, and a hold opens only where that much is available. Both change
under the wallet's lock alone, so concurrent calls can't promise the same credit twice. A crash before the commit
promises nothing. Usage is recorded whatever is held: without a hold it may take credits that others were promised,
and then no hold opens until there is more, but for free models: their holds promise nothing, and open at any balance.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Least
from django.utils import timezone

from credits import prices
from credits.ledger import spending
from credits.ledger.locking import locked
from credits.models import Hold, Wallet
from sidekick.accounts.models import User


class InsufficientCredits(Exception):
    """`required` credits were asked for, `available` are there."""

    def __init__(self, *, available: Decimal, required: Decimal) -> None:
        super().__init__(f"{required} credits are required, {available} are available.")
        self.available, self.required = available, required


class HoldConflict(ValueError):
    """The request id has a hold for another call, or one that has ended."""


class UnknownAccount(LookupError):
    """There is no such account, or it is closed."""


class UnknownModel(LookupError):
    """The price book has no such model now."""


def reserve(
    account_id: uuid.UUID,
    *,
    request_id: str,
    model: str,
    input_tokens: int,
    max_output_tokens: int,
    now: datetime | None = None,
) -> Hold:
    """Promise what the call may cost at most, in credits; the same request again returns the same hold.

    Raises `UnknownAccount`, `UnknownModel`, `HoldConflict` and `InsufficientCredits`.
    """
    now = now or timezone.now()
    versions = prices.versions_of({model}).get(model)
    price = versions.at(now) if versions else None
    if versions is None or price is None:
        raise UnknownModel(model)
    if not User.objects.filter(id=account_id, is_active=True).exists():
        raise UnknownAccount(account_id)
    price_in, price_out, price_read, price_write = price
    # It is not known yet how many tokens of the prompt the cache will read or write: all count at the dearest price.
    dearest = max(price_in, price_read, price_write)
    micro = prices.rounded(input_tokens * dearest + max_output_tokens * price_out)
    wished = Hold(
        account_id=account_id,
        request_id=request_id,
        model_id=versions.model_id,
        input_tokens=input_tokens,
        max_output_tokens=max_output_tokens,
        amount=prices.in_credits(micro),
        created_at=now,
        expires_at=now + settings.HOLD_LIFETIME,
    )
    with locked([account_id], now):
        known = Hold.objects.filter(account_id=account_id, request_id=request_id).first()
        refusal = None if known else _promise(wished, free=not any(price))
    # After the commit: a refusal must not undo what the clock owed, or each further call would do it again.
    if refusal:
        raise refusal
    return _same(known, wished) if known else wished


def release(hold_id: uuid.UUID, *, now: datetime | None = None) -> None:
    """Release a hold that the call did not need. Released again, or after it lapsed, it frees nothing more.

    Raises `Hold.DoesNotExist`, and `HoldConflict` when usage settled it.
    """
    now = now or timezone.now()
    account_id = Hold.objects.values_list("account_id", flat=True).get(id=hold_id)
    with locked([account_id], now):
        settled = Hold.objects.values_list("state", flat=True).get(id=hold_id) == Hold.State.SETTLED
        if not settled:
            spending.end_holds([str(hold_id)], Hold.State.RELEASED, now)
    if settled:
        raise HoldConflict("Usage has settled this hold.")


def _same(known: Hold, wished: Hold) -> Hold:
    for name in ("model_id", "input_tokens", "max_output_tokens"):
        if getattr(known, name) != getattr(wished, name):
            raise HoldConflict("This request id has a hold for another call.")
    if known.state != Hold.State.OPEN:
        raise HoldConflict(f"The hold of this request id is {known.state}: a new call needs a new id.")
    return known


def _promise(hold: Hold, *, free: bool) -> InsufficientCredits | None:
    available = spending.available(hold.account_id)
    # Where nothing is left no call that may cost something is promised, however few tokens it names (M5). A free
    # model costs nothing whatever the call uses; if its price rises before that, the usage is debt like any other.
    if not free and (hold.amount > available or available <= 0):
        return InsufficientCredits(available=max(available, Decimal(0)), required=hold.amount)
    # The id is set already, so Django would try an UPDATE first.
    hold.save(force_insert=True)
    # The clock must be back when it lapses, if not before.
    due_at = Least("due_at", hold.expires_at)
    Wallet.objects.filter(account_id=hold.account_id).update(held=F("held") + hold.amount, due_at=due_at)
    return None
