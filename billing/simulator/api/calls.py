"""What a call is, and what the endpoints share: lists, inclusions, links."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any

from billing.simulator.api import listing
from billing.simulator.api.listing import Filters, Page, Sizes
from billing.simulator.errors import invalid
from billing.simulator.pages import links
from billing.simulator.schemas import Entity
from billing.simulator.state import State

STANDARD = Sizes()
ID = r"([a-z]+_[a-z0-9]{26})"
Handler = Callable[..., Any]
# Method, pattern of the path, and the handler: it gets the call, the state, and the ids of the path.
Route = tuple[str, str, Handler]


@dataclass(frozen=True)
class Call:
    """One request. `base` is the address it came to, which links in the answer start with."""

    method: str
    path: str
    base: str = ""
    query: dict[str, str] = attribute(default_factory=dict)
    headers: dict[str, str] = attribute(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Done:
    """An answer that isn't just 200 with data."""

    data: Any
    status: int = 201


def listed(
    call: Call,
    state: State,
    prefix: str,
    *names: str,
    visible: bool = False,
    sizes: Sizes = STANDARD,
    also: Iterable[str] = (),
) -> Page:
    """A list with filters named as the fields; what is archived is hidden from `visible` ones unless asked for."""
    rows = state.rows(prefix)
    if visible and "status" not in call.query and "id" not in call.query:
        rows = [row for row in rows if row["status"] == "active"]
    return paged(call, rows, {name: field(name) for name in names}, sizes=sizes, also=also)


def paged(
    call: Call,
    rows: Iterable[Entity],
    filters: Filters,
    *,
    sizes: Sizes = STANDARD,
    key: str = "id",
    also: Iterable[str] = (),
) -> Page:
    url = f"{call.base}{call.path}"
    return listing.page(rows, call.query, url=url, filters=filters, sizes=sizes, key=key, also=also)


def field(name: str) -> Callable[[Entity], str | None]:
    return lambda row: row[name]


def asked_for(call: Call, *known: str) -> list[str]:
    names = [name for name in call.query.get("include", "").split(",") if name]
    for name in names:
        if name not in known:
            raise invalid("include", f"{name} cannot be included")
    return names


def portal_link(call: Call, state: State, customer_id: str) -> str:
    return links.signed(call.base, f"/portal/{customer_id}", key=state.secret)
