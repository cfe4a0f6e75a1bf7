"""Finding the account, the model and the price of each reported request (M1, M6)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.conf import settings

from credits import prices
from credits.usage.schemas import Event, Receipt, RejectionCode

# No request is older, whatever age is allowed: `now - timedelta.max` would be no date.
OLDEST = datetime(2000, 1, 1, tzinfo=UTC)


class Priced(NamedTuple):
    """An event that can be stored. `position` is its place in the call, `micro` its price in millionths of a credit."""

    position: int
    # Text: a thousand events look it up some ten thousand times, and hashing a `UUID` took a tenth of a whole call.
    account_id: str
    model_id: int
    micro: int
    event: Event

    @property
    def key(self) -> tuple[str, str]:
        return self.account_id, self.event["request_id"]

    @property
    def hold_id(self) -> str | None:
        return self.event.get("hold")

    @property
    def content(self) -> tuple[object, ...]:
        """Returns all that must be the same for a repeated request id to be the same request."""
        e = self.event
        return (
            self.model_id,
            # In UTC: in the hour that a zone repeats in autumn, Python finds it equal to no time of another zone.
            e["occurred_at"].astimezone(UTC),
            e["input_tokens"],
            e["output_tokens"],
            e["cache_read_tokens"],
            e["cache_write_tokens"],
        )


def price(events: Sequence[Event], max_age: timedelta, now: datetime, receipt: Receipt) -> list[Priced]:
    """Find each event's account id, model and price. Rejects events without one, and those outside the time allowed.

    Whether the account exists is not asked here. Events that name no cached tokens get zeros, so that everything after
    finds them equal to events that do.
    """
    book = prices.versions_of({event["model"] for event in events})
    accounts = {text: canonical_id(text) for text in {event["account"] for event in events}}
    oldest = OLDEST if max_age >= now - OLDEST else now - max_age
    newest = now + settings.USAGE_MAX_AHEAD
    priced = []
    for index, event in enumerate(events):
        event.setdefault("cache_read_tokens", 0)
        event.setdefault("cache_write_tokens", 0)
        account_id, versions, occurred_at = accounts[event["account"]], book.get(event["model"]), event["occurred_at"]
        if account_id is None:
            receipt.reject(index, event, RejectionCode.UNKNOWN_ACCOUNT, "There is no such account.")
        elif occurred_at < oldest:
            receipt.reject(index, event, RejectionCode.TOO_OLD, f"Requests before {oldest.isoformat()} are not taken.")
        elif occurred_at > newest:
            receipt.reject(index, event, RejectionCode.IN_FUTURE, f"It is {now.isoformat()} here.")
        elif versions is None or (price := versions.at(occurred_at)) is None:
            receipt.reject(index, event, RejectionCode.UNKNOWN_MODEL, "The price book has no such model at that time.")
        else:
            price_in, price_out, price_read, price_write = price
            # Prices are whole millionths of a credit per million tokens: the sum is exact and rounds once (M6).
            exact = (
                event["input_tokens"] * price_in
                + event["output_tokens"] * price_out
                + event["cache_read_tokens"] * price_read
                + event["cache_write_tokens"] * price_write
            )
            priced.append(Priced(index, account_id, versions.model_id, prices.rounded(exact), event))
    return priced


def canonical_id(text: str) -> str | None:
    """Returns an id in its one canonical spelling; None for text that is no UUID."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None
