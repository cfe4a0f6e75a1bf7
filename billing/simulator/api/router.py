"""The HTTP API: which request goes to which handler, and how its result is written.

A handler's `RequestError` becomes Paddle's error, and nothing is changed.
"""

from __future__ import annotations

import hmac
import re
import uuid
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

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
from billing.simulator.api.routes import Handler, Result
from billing.simulator.errors import RequestError
from billing.simulator.http import Request
from billing.simulator.world import World

ERRORS = "https://developer.paddle.com/v1/errors"
GROUPS = (catalogue, customers, transactions, subscriptions, adjustments, notifications, account)
ROUTES = [(method, re.compile(pattern), handler) for group in GROUPS for method, pattern, handler in group.ROUTES]
ROOTS = {pattern.pattern.split("/")[1] for _, pattern, _ in ROUTES}
# A GET that makes a transaction all the same.
MAKING = {subscriptions.card_update}


def respond(world: World, request: Request) -> tuple[int, dict[str, Any] | None]:
    """Returns the status and the JSON body (None for 204) of a request."""
    meta: dict[str, object] = {"request_id": str(uuid.uuid4())}
    try:
        _check_key(world, request)
        handler, ids = _route(request)
        if request.method == "GET" and handler not in MAKING:
            with world.lock:
                # Copied under the lock: it is written after another request may have changed it.
                result = deepcopy(handler(request, world.state, *ids))
        else:
            with world.changing() as state:
                result = deepcopy(handler(request, state, *ids))
    except RequestError as error:
        return error.status, error_body(error.code, error.detail, error.errors, meta=meta)
    if isinstance(result, Page):
        return 200, {"data": result.rows, "meta": meta | {"pagination": result.pagination}}
    done = result if isinstance(result, Result) else Result(result, 200)
    return done.status, None if done.status == 204 else {"data": done.data, "meta": meta}


def error_body(
    code: str,
    detail: str,
    errors: Sequence[tuple[str, str]] = (),
    *,
    kind: str = "request_error",
    meta: Mapping[str, object],
) -> dict[str, Any]:
    """Returns an error in Paddle's shape."""
    error: dict[str, object] = {
        "type": kind,
        "code": code,
        "detail": detail,
        "documentation_url": f"{ERRORS}/{code}",
    }
    if errors:
        error["errors"] = [{"field": name, "message": message} for name, message in errors]
    return {"error": error, "meta": meta}


def is_api(path: str) -> bool:
    """Returns whether a path belongs to the API and not to the pages."""
    return path.partition("/")[2].partition("/")[0] in ROOTS


def _check_key(world: World, request: Request) -> None:
    sent = request.headers.get("authorization", "").encode()
    if not hmac.compare_digest(sent, f"Bearer {world.api_key}".encode()):
        raise RequestError("forbidden", "The API key is missing or not the one of this account.")


def _route(request: Request) -> tuple[Handler, tuple[str, ...]]:
    found = [
        (method, handler, match) for method, pattern, handler in ROUTES if (match := pattern.fullmatch(request.path))
    ]
    if not found:
        raise RequestError("not_found", f"There is nothing at {request.path}.")
    for method, handler, match in found:
        if method == request.method:
            return handler, match.groups()
    raise RequestError("method_not_allowed", f"{request.method} is not allowed here.")
