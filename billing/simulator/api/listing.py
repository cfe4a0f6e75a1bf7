"""Pages of a list: filters, order and cursor, as Paddle's list endpoints take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from billing.simulator.errors import invalid
from billing.simulator.schemas import Entity

Filters = Mapping[str, Callable[[Entity], str | None]]


@dataclass(frozen=True)
class Sizes:
    """How many entities a page has by default and at most."""

    default: int = 50
    most: int = 200


@dataclass
class Page:
    rows: list[Entity]
    pagination: Entity = field(default_factory=dict)


def page(
    rows: Iterable[Entity],
    query: Mapping[str, str],
    *,
    url: str,
    filters: Filters,
    sizes: Sizes,
    key: str = "id",
    also: Iterable[str] = (),
) -> Page:
    """Filter, order and cut `rows`. `also` names parameters that somebody else reads.

    Raises `Refused` `invalid_field` for parameters that no one reads, and for values that make no sense.
    """
    _check_names(query, {*filters, *also, "per_page", "order_by", "after"})
    size = _size(query.get("per_page", str(sizes.default)), sizes)
    backwards = _backwards(query.get("order_by", "id[DESC]"))
    kept = sorted((row for row in rows if _passes(row, query, filters)), key=lambda row: row[key], reverse=backwards)
    after = query.get("after")
    rest = [row for row in kept if not after or (row[key] < after if backwards else row[key] > after)]
    shown = rest[:size]
    cursor = shown[-1][key] if shown else after
    onwards = dict(query) | {"per_page": str(size)} | ({"after": cursor} if cursor else {})
    return Page(
        shown,
        {
            "per_page": size,
            "next": f"{url}?{urlencode(onwards)}",
            "has_more": len(rest) > size,
            "estimated_total": len(kept),
        },
    )


def _check_names(query: Mapping[str, str], known: set[str]) -> None:
    for name in query:
        if name not in known:
            raise invalid(name, "unknown query parameter")


def _size(text: str, sizes: Sizes) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise invalid("per_page", "must be a whole number above zero")
    return min(int(text), sizes.most)


def _backwards(order: str) -> bool:
    if order not in {"id[ASC]", "id[DESC]"}:
        raise invalid("order_by", "the simulator orders by id[ASC] or id[DESC]")
    return order == "id[DESC]"


def _passes(row: Entity, query: Mapping[str, str], filters: Filters) -> bool:
    return all(
        of(row) in {value.strip() for value in query[name].split(",")} for name, of in filters.items() if name in query
    )
