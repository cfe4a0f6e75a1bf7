"""The simulator's memory: entities by id and all that must survive a restart, and the file that keeps it.

Everything in `Memory` is plain JSON. Times are kept as Paddle writes them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypedDict, TypeVar

from billing.simulator.errors import not_found
from billing.simulator.schemas.amounts import Proration
from billing.simulator.schemas.notifications import Event
from billing.simulator.schemas.times import Period

# Switches of the panel: how webhooks are sent, and whether refunds are approved without a review.
MODES = ("hold", "duplicate", "shuffle", "approve_at_once")


class PendingLine(TypedDict):
    """A line that waits for the next bill of its subscription."""

    price_id: str
    quantity: int
    proration: Proration | None


class Backstage(TypedDict):
    """The part of a subscription that Paddle does not publish.

    `card` is `good` or `fails`, `anchor` the moment that periods are counted from, `overdue` the transaction to be
    paid since `failed_at`, `paused` the period that a pause cut short.
    """

    card: str
    anchor: str
    pending: list[PendingLine]
    overdue: str | None
    failed_at: str | None
    paused: Period | None


class Identified(TypedDict):
    id: str


@dataclass
class Memory:
    """All that is written to the state file. `tables` holds entities by the prefix of their ids, oldest first."""

    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    backstage: dict[str, Backstage] = field(default_factory=dict)
    # Ids of payment methods, by customer and card.
    cards: dict[str, dict[str, str]] = field(default_factory=dict)
    balances: dict[str, dict[str, int]] = field(default_factory=dict)
    modes: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(MODES, False))
    offset: float = 0.0
    last_id: int = 0
    last_invoice: int = 10_000


E = TypeVar("E", bound=Identified)


class Table(Generic[E]):
    """The entities whose ids start with one prefix, in order of creation.

    Asks for the memory each time, because a call that fails puts another one in its place.
    """

    def __init__(self, memory: Callable[[], Memory], prefix: str) -> None:
        self._memory = memory
        self._prefix = prefix

    def rows(self) -> list[E]:
        return list(self._stored().values())

    def find(self, identifier: str | None) -> E | None:
        return self._stored().get(identifier) if identifier else None

    def get(self, identifier: str | None) -> E:
        """Returns the entity itself, to be changed in place. Raises `RequestError` `not_found`."""
        found = self.find(identifier)
        if found is None:
            raise not_found(str(identifier))
        return found

    def add(self, entity: E) -> E:
        self._memory().tables.setdefault(self._prefix, {})[entity["id"]] = entity
        return entity

    def remove(self, identifier: str) -> None:
        del self._stored()[identifier]

    def _stored(self) -> dict[str, E]:
        return self._memory().tables.get(self._prefix, {})


class StateFile:
    """The file that keeps a memory. Events are many and never change, so each is turned into JSON once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._texts: dict[str, str] = {}

    def load(self) -> Memory:
        """Returns what the file keeps, or an empty memory without a file. Raises `ValueError` for anything else."""
        if not self.path.exists():
            return Memory()
        try:
            kept = json.loads(self.path.read_text())
            return restored(kept["rest"], kept["events"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.path} is no state of this simulator. Delete it to begin anew.") from error

    def save(self, memory: Memory) -> None:
        """Write the file whole or not at all."""
        events: dict[str, Event] = memory.tables.setdefault("evt", {})
        self._texts = {name: self._texts.get(name) or json.dumps(event) for name, event in events.items()}
        written = ",".join(f'"{identifier}":{text}' for identifier, text in self._texts.items())
        # A crash while writing must leave the old file: write beside it, then replace it.
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(f".{os.getpid()}.new")
        beside.write_text(f'{{"rest":{without_events(memory)},"events":{{{written}}}}}')
        beside.replace(self.path)


def without_events(memory: Memory) -> str:
    """Returns everything but the events, which are most of it, as JSON."""
    tables = {prefix: rows for prefix, rows in memory.tables.items() if prefix != "evt"}
    return json.dumps(vars(memory) | {"tables": tables})


def restored(rest: Mapping[str, Any], events: dict[str, Event]) -> Memory:
    memory = Memory(**rest)
    memory.tables["evt"] = events
    return memory
