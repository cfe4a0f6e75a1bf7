"""Pages of a list: filters, order and cursor, as Paddle's list endpoints take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict, TypeVar
from urllib.parse import urlencode

from billing.simulator.errors import invalid_field
from billing.simulator.http import Request

Row = Mapping[str, object]
E = TypeVar("E", bound=Row)
Filters = Mapping[str, Callable[[E], object]]


class Pagination(TypedDict):
    per_page: int
    next: str
    has_more: bool
    estimated_total: int


@dataclass
class Page:
    rows: Sequence[Row]
    pagination: Pagination


@dataclass(frozen=True)
class Sizes:
    """How many entities a page has by default and at most."""

    default: int = 50
    most: int = 200


STANDARD = Sizes()


def field(name: str) -> Callable[[Row], object]:
    """A filter that compares this field."""
    return lambda row: row[name]


def fields(*names: str) -> dict[str, Callable[[Row], object]]:
    """Filters that compare the fields of the same names."""
    return {name: field(name) for name in names}


def unarchived(request: Request, rows: Sequence[E]) -> list[E]:
    """Returns the rows without the archived ones, unless the request asks by status or id."""
    if "status" in request.query or "id" in request.query:
        return list(rows)
    return [row for row in rows if row["status"] == "active"]


def paged(
    request: Request,
    rows: Iterable[E],
    filters: Filters[E],
    *,
    sizes: Sizes = STANDARD,
    key: str = "id",
    also: Iterable[str] = (),
    show: Callable[[E], Row] = lambda row: row,
) -> Page:
    """Returns the page that a request asks for: rows filtered, ordered by `key`, cut, and turned by `show`.

    `also` names parameters that the handler reads itself. Raises `RequestError` `invalid_field` for parameters that
    are unknown, and for values out of range.
    """
    query = request.query
    _check_names(query, {*filters, *also, "per_page", "order_by", "after"})
    size = _size(query.get("per_page", str(sizes.default)), sizes)
    backwards = _backwards(query.get("order_by", "id[DESC]"))
    kept = sorted(
        (row for row in rows if _passes(row, query, filters)), key=lambda row: str(row[key]), reverse=backwards
    )
    # A cursor is the last id of a page, so a row that is added meanwhile shifts nothing.
    after = query.get("after")
    rest = [row for row in kept if not after or _is_beyond(str(row[key]), after, backwards)]
    shown = rest[:size]
    # An empty page leads to itself: the feed is read on from there when something happened.
    cursor = str(shown[-1][key]) if shown else after
    following = dict(query) | {"per_page": str(size)} | ({"after": cursor} if cursor else {})
    return Page(
        [show(row) for row in shown],
        {
            "per_page": size,
            "next": f"{request.base}{request.path}?{urlencode(following)}",
            "has_more": len(rest) > size,
            "estimated_total": len(kept),
        },
    )


def _check_names(query: Mapping[str, str], known: set[str]) -> None:
    for name in query:
        if name not in known:
            raise invalid_field(name, "unknown query parameter")


def _size(text: str, sizes: Sizes) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise invalid_field("per_page", "must be a whole number above zero")
    return min(int(text), sizes.most)


def _backwards(order: str) -> bool:
    if order not in {"id[ASC]", "id[DESC]"}:
        raise invalid_field("order_by", "the simulator orders by id[ASC] or id[DESC]")
    return order == "id[DESC]"


def _passes(row: E, query: Mapping[str, str], filters: Filters[E]) -> bool:
    return all(
        of(row) in {value.strip() for value in query[name].split(",")} for name, of in filters.items() if name in query
    )


def _is_beyond(key: str, after: str, backwards: bool) -> bool:
    return key < after if backwards else key > after
