"""The state of the simulated account: its clock, its entities, and the events that tell of their changes."""

from __future__ import annotations

import copy
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from billing.simulator.memory import Backstage, Memory, StateFile, Table, restored, without_events
from billing.simulator.schemas.adjustments import Adjustment
from billing.simulator.schemas.catalogue import Price, Product
from billing.simulator.schemas.customers import Address, Customer, PaymentMethod
from billing.simulator.schemas.notifications import ClientToken, Delivery, Event, NotificationSetting
from billing.simulator.schemas.subscriptions import Subscription
from billing.simulator.schemas.times import iso
from billing.simulator.schemas.transactions import Transaction
from billing.simulator.webhooks import deliveries

Published = Product | Price | Customer | Address | PaymentMethod | Transaction | Subscription | Adjustment

# Crockford's alphabet of ULIDs, in lower case as Paddle writes it.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# No two events share a moment: receivers compare moments to find the newer snapshot.
STEP = timedelta(milliseconds=1)
SET_BACK = timedelta(minutes=1)
EVENTS_KEPT = 5000


class State:
    """The simulator's memory and clock, without any rule of billing.

    `tax` is in basis points (2000 is 20 %), `minimum` the smallest charge in minor units.
    """

    def __init__(self, *, secret: str, payment_link: str, tax: int, minimum: int, path: Path | None) -> None:
        self.secret = secret
        self.payment_link = payment_link
        self.tax = Decimal(tax) / 10_000
        self.minimum = minimum
        self._file = StateFile(path) if path else None
        self.memory = self._file.load() if self._file else Memory()
        self.products = Table[Product](self._remembered, "pro")
        self.prices = Table[Price](self._remembered, "pri")
        self.customers = Table[Customer](self._remembered, "ctm")
        self.addresses = Table[Address](self._remembered, "add")
        self.transactions = Table[Transaction](self._remembered, "txn")
        self.subscriptions = Table[Subscription](self._remembered, "sub")
        self.adjustments = Table[Adjustment](self._remembered, "adj")
        self.settings = Table[NotificationSetting](self._remembered, "ntfset")
        self.deliveries = Table[Delivery](self._remembered, "ntf")
        self.client_tokens = Table[ClientToken](self._remembered, "ctkn")
        self._fixed: datetime | None = None
        self._last = datetime.min.replace(tzinfo=UTC)
        self._last_of: dict[str, datetime] = {}
        self._collected: list[Event] | None = None
        # The file may be older than the secret of this start.
        for setting in self.settings.rows():
            setting["endpoint_secret_key"] = secret

    def _remembered(self) -> Memory:
        return self.memory

    # The clock

    def now(self) -> datetime:
        return self._fixed or datetime.now(UTC) + timedelta(seconds=self.memory.offset)

    def moment(self) -> datetime:
        """Returns now, or a little later than the moment before it, unless the clock was set back."""
        now = self.now()
        self._last = now if self._last - now > SET_BACK else max(now, self._last + STEP)
        return self._last

    @contextmanager
    def at(self, when: datetime) -> Iterator[None]:
        """Let it be `when`, for something that fell due at that time."""
        before, self._fixed = self._fixed, when
        try:
            yield
        finally:
            self._fixed = before

    @contextmanager
    def history(self, since: datetime) -> Iterator[list[Event]]:
        """Live through a past: its events go into the feed and into the list, and no webhook is sent."""
        before, self._last, self._collected = self._last, since, []
        try:
            yield self._collected
        finally:
            self._last, self._collected = before, None

    # Entities and events

    def new_id(self, prefix: str) -> str:
        """Returns `prefix_` and a ULID; each is greater than the one before it, even if the clock is set back."""
        # 48 bits of milliseconds, then 80 random ones. The first of them is 0, so that counting on has room.
        drawn = (int(self.now().timestamp() * 1000) << 80) | secrets.randbits(79)
        number = drawn if drawn > self.memory.last_id else self.memory.last_id + 1 + secrets.randbits(40)
        self.memory.last_id = number
        return f"{prefix}_{''.join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))}"

    def backstage(self, subscription: Subscription) -> Backstage:
        return self.memory.backstage[subscription["id"]]

    def events(self) -> list[Event]:
        """Returns the feed, oldest first."""
        return list(self._feed().values())

    def event(self, identifier: str) -> Event:
        return self._feed()[identifier]

    def emit(self, event_type: str, entity: Published, **more: str) -> None:
        """Put an event with the entity as it is now into the feed, and queue it for the settings that ask for it."""
        when = iso(self._moment_of(entity["id"]))
        # A new entity was updated when it was created, which is a moment before this event.
        if not event_type.endswith(".created"):
            entity["updated_at"] = when
        event: Event = {
            "event_id": self.new_id("evt"),
            "event_type": event_type,
            "occurred_at": when,
            "data": {**copy.deepcopy(entity), **more},
        }
        self._feed()[event["event_id"]] = event
        if self._collected is None:
            deliveries.queue(self, event)
        else:
            self._collected.append(event)

    def _feed(self) -> dict[str, Event]:
        return self.memory.tables.setdefault("evt", {})

    def _moment_of(self, identifier: str) -> datetime:
        """Events of one entity follow each other, even when something is caught up with that fell due earlier."""
        before = self._last_of.get(identifier)
        self._last_of[identifier] = max(self.moment(), before + STEP) if before else self.moment()
        return self._last_of[identifier]

    # Keeping

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Put the memory back as it was if something raises in here."""
        # Events never change, so a shallow copy of the feed is enough.
        events, rest = self._feed().copy(), without_events(self.memory)
        try:
            yield
        except BaseException:
            self.memory = restored(json.loads(rest), events)
            raise

    def save(self) -> None:
        self._forget_oldest()
        if self._file:
            self._file.save(self.memory)

    def _forget_oldest(self) -> None:
        events = self._feed()
        for identifier in list(events)[: max(0, len(events) - EVENTS_KEPT)]:
            del events[identifier]
        # A delivery reads its event, so it goes with it.
        for row in self.deliveries.rows():
            if row["event_id"] not in events:
                self.deliveries.remove(row["id"])
