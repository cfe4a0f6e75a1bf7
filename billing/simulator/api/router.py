"""The HTTP API: which call does what, and how its answer looks.

`answer` takes a call that carries the key and gives status and JSON. What a handler raises as `Refused` becomes
Paddle's error, and nothing is changed.
"""

from __future__ import annotations

import hmac
import re
import uuid

from billing.simulator import schemas
from billing.simulator.api.calls import Call, Done, Handler
from billing.simulator.api.endpoints import (
    account,
    adjustments,
    catalogue,
    customers,
    notifications,
    subscriptions,
    transactions,
)
from billing.simulator.api.listing import Page
from billing.simulator.errors import Refused
from billing.simulator.schemas import Entity
from billing.simulator.world import World

ERRORS = "https://developer.paddle.com/v1/errors"
GROUPS = (catalogue, customers, transactions, subscriptions, adjustments, notifications, account)
ROUTES = [(method, re.compile(pattern), handler) for group in GROUPS for method, pattern, handler in group.ROUTES]
ROOTS = {pattern.pattern.split("/")[1] for _, pattern, _ in ROUTES}
# A GET that makes something all the same.
MAKING = {subscriptions.card_update}


def answer(world: World, call: Call) -> tuple[int, Entity | None]:
    """Status and JSON body (None for 204) of a call. The world is remembered when the call may have changed it."""
    meta: Entity = {"request_id": str(uuid.uuid4())}
    try:
        _check_key(world, call)
        handler, ids = _route(call)
        if call.method == "GET" and handler not in MAKING:
            with world.lock:
                result = schemas.copied(handler(call, world.state, *ids))
        else:
            with world.changing() as state:
                result = schemas.copied(handler(call, state, *ids))
    except Refused as refused:
        return refused.status, error(refused, meta)
    if isinstance(result, Page):
        return 200, {"data": result.rows, "meta": meta | {"pagination": result.pagination}}
    done = result if isinstance(result, Done) else Done(result, 200)
    return done.status, None if done.status == 204 else {"data": done.data, "meta": meta}


def error(refused: Refused, meta: Entity) -> Entity:
    """Paddle's error shape."""
    told: Entity = {
        "type": "request_error",
        "code": refused.code,
        "detail": refused.detail,
        "documentation_url": f"{ERRORS}/{refused.code}",
    }
    if refused.errors:
        told["errors"] = [{"field": name, "message": message} for name, message in refused.errors]
    return {"error": told, "meta": meta}


def is_api(path: str) -> bool:
    """Whether a path belongs to the API and not to the pages."""
    return path.partition("/")[2].partition("/")[0] in ROOTS


def _check_key(world: World, call: Call) -> None:
    sent = call.headers.get("authorization", "").encode()
    if not hmac.compare_digest(sent, f"Bearer {world.api_key}".encode()):
        raise Refused("forbidden", "The API key is missing or not the one of this account.")


def _route(call: Call) -> tuple[Handler, tuple[str, ...]]:
    found = [(method, handler, match) for method, pattern, handler in ROUTES if (match := pattern.fullmatch(call.path))]
    if not found:
        raise Refused("not_found", f"There is nothing at {call.path}.")
    for method, handler, match in found:
        if method == call.method:
            return handler, match.groups()
    raise Refused("method_not_allowed", f"{call.method} is not allowed here.")
