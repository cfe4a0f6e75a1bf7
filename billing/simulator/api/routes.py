"""The parts that endpoints are made of: routes, their results, and the `include` parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from billing.simulator.api.listing import Page
from billing.simulator.errors import invalid_field
from billing.simulator.http import Request

ID = r"([a-z]+_[a-z0-9]{26})"
Json = Mapping[str, object] | Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Result:
    """The data of a response and its status, where that is not 200. Status 204 has no data."""

    data: Json | None
    status: int = 201


# Handlers get the request, the state, and the ids of the path.
Handler = Callable[..., Json | Page | Result]
# Method, pattern of the path, and the handler.
Route = tuple[str, str, Handler]


def included(request: Request, *known: str) -> list[str]:
    """Returns the names in the parameter `include`. Raises `RequestError` for others than the known ones."""
    names = [name for name in request.query.get("include", "").split(",") if name]
    for name in names:
        if name not in known:
            raise invalid_field("include", f"{name} cannot be included")
    return names
