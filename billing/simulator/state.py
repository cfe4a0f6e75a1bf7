"""What the simulator remembers: its clock, its entities by id, and the events that told of their changes.

Everything in `Memory` is plain JSON, so that it survives a restart. Times are kept as Paddle writes them.
"""

from __future__ import annotations

import copy
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from billing.simulator.errors import unknown
from billing.simulator.schemas import Entity, iso
from billing.simulator.webhooks import deliveries

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# No two events share a moment, or nobody could tell which snapshot is newer.
STEP = timedelta(milliseconds=1)
SET_BACK = timedelta(minutes=1)
EVENTS_KEPT = 5000
# What the panel switches: how webhooks are sent, and whether refunds are approved without anyone's review.
MODES = ("hold", "duplicate", "shuffle", "approve_at_once")


@dataclass
class Memory:
    """What is written to the state file. `tables` holds entities by the prefix of their ids, in order of creation."""

    tables: dict[str, dict[str, Entity]] = field(default_factory=dict)
    # What Paddle knows of a subscription and never tells: its card, the day it counts from, what is still to be billed.
    backstage: dict[str, Entity] = field(default_factory=dict)
    balances: dict[str, dict[str, int]] = field(default_factory=dict)
    modes: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(MODES, False))
    offset: float = 0.0
    last_id: int = 0
    last_invoice: int = 10_000


class State:
    """The simulator's memory and clock, without any rule of billing.

    `tax` is in basis points (2000 is 20 %), `minimum` the smallest charge in minor units.
    """

    def __init__(self, *, secret: str, payment_link: str, tax: int, minimum: int, path: Path | None) -> None:
        self.secret = secret
        self.payment_link = payment_link
        self.tax = Decimal(tax) / 10_000
        self.minimum = minimum
        self.path = path
        self.memory = _load(path)
        self._fixed: datetime | None = None
        self._last = datetime.min.replace(tzinfo=UTC)
        self._told: dict[str, datetime] = {}
        self._collected: list[Entity] | None = None
        # Events as they stand in the file: they are many and never change.
        self._texts: dict[str, str] = {}
        for setting in self.rows("ntfset"):
            setting["endpoint_secret_key"] = secret

    # The clock

    def now(self) -> datetime:
        return self._fixed or datetime.now(UTC) + timedelta(seconds=self.memory.offset)

    def moment(self) -> datetime:
        """Now, yet later than the moment before it, unless somebody set the clock back."""
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
    def history(self, since: datetime) -> Iterator[list[Entity]]:
        """Tell of the past: what happens in here stands in the feed and in the list, and nobody is notified."""
        before, self._last, self._collected = self._last, since, []
        try:
            yield self._collected
        finally:
            self._last, self._collected = before, None

    # Entities

    def new_id(self, prefix: str) -> str:
        """`prefix_` and a ULID; each is greater than the one before it, whatever the clock does."""
        drawn = (int(self.now().timestamp() * 1000) << 80) | secrets.randbits(79)
        number = drawn if drawn > self.memory.last_id else self.memory.last_id + 1 + secrets.randbits(40)
        self.memory.last_id = number
        return f"{prefix}_{''.join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))}"

    def rows(self, prefix: str) -> list[Entity]:
        return list(self.memory.tables.get(prefix, {}).values())

    def add(self, entity: Entity) -> Entity:
        prefix = entity["id"].partition("_")[0]
        self.memory.tables.setdefault(prefix, {})[entity["id"]] = entity
        return entity

    def get(self, prefix: str, identifier: str) -> Entity:
        """The entity itself, to be changed in place. Raises `Refused` `not_found`."""
        found = self.memory.tables.get(prefix, {}).get(identifier)
        if found is None:
            raise unknown(identifier)
        return found

    # Events

    def tell(self, event_type: str, entity: Entity, **more: object) -> None:
        """Put an event with the entity as it is now into the feed, and queue it for whoever subscribed."""
        when = iso(self._moment_of(entity))
        if "updated_at" in entity and not event_type.endswith(".created"):
            entity["updated_at"] = when
        event: Entity = {
            "event_id": self.new_id("evt"),
            "event_type": event_type,
            "occurred_at": when,
            "data": copy.deepcopy(entity) | more,
        }
        self._events()[event["event_id"]] = event
        if self._collected is None:
            deliveries.queue(self, event)
        else:
            self._collected.append(event)

    def _moment_of(self, entity: Entity) -> datetime:
        """Snapshots of one entity follow each other, even where something is caught up with that fell due before."""
        before = self._told.get(entity["id"])
        self._told[entity["id"]] = max(self.moment(), before + STEP) if before else self.moment()
        return self._told[entity["id"]]

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """What raises in here changes nothing. Events are never changed, so that keeping which there were is enough."""
        events, rest = self._events().copy(), self._rest()
        try:
            yield
        except BaseException:
            self.memory = _memory(json.loads(rest), events)
            raise

    def save(self) -> None:
        """Write the state file whole or not at all."""
        self._forget_oldest()
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            beside = self.path.with_suffix(f".{os.getpid()}.new")
            events = ",".join(f'"{identifier}":{self._written(event)}' for identifier, event in self._events().items())
            beside.write_text(f'{{"rest":{self._rest()},"events":{{{events}}}}}')
            beside.replace(self.path)

    def _events(self) -> dict[str, Entity]:
        return self.memory.tables.setdefault("evt", {})

    def _rest(self) -> str:
        """Everything but the events, which are most of it, as JSON."""
        tables = {prefix: rows for prefix, rows in self.memory.tables.items() if prefix != "evt"}
        return json.dumps(vars(self.memory) | {"tables": tables})

    def _written(self, event: Entity) -> str:
        identifier = event["event_id"]
        if identifier not in self._texts:
            self._texts[identifier] = json.dumps(event)
        return self._texts[identifier]

    def _forget_oldest(self) -> None:
        events = self._events()
        for identifier in list(events)[: max(0, len(events) - EVENTS_KEPT)]:
            del events[identifier]
            self._texts.pop(identifier, None)
        for row in self.rows("ntf"):
            if row["event_id"] not in events:
                del self.memory.tables["ntf"][row["id"]]


def _memory(rest: Entity, events: dict[str, Entity]) -> Memory:
    memory = Memory(**rest)
    memory.tables["evt"] = events
    return memory


def _load(path: Path | None) -> Memory:
    if path is None or not path.exists():
        return Memory()
    try:
        kept = json.loads(path.read_text())
        return _memory(kept["rest"], kept["events"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no state of this simulator. Delete it to begin anew.") from error
