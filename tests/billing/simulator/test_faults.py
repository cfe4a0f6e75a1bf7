"""Faults of the API on demand."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from billing.simulator.server import Server
from tests.billing.simulator.shop import KEY, Shop, fetch

AUTH = {"Authorization": f"Bearer {KEY}"}


def api(served: Server, method: str, path: str, body: Any = None) -> tuple[int, Any, dict[str, str]]:
    data = None if body is None else json.dumps(body).encode()
    status, raw, headers = fetch(f"{served.url}{path}", data=data, method=method, headers=AUTH)
    return status, json.loads(raw) if raw else None, headers


def test_a_lost_connection_has_done_nothing_or_everything(shop: Shop, served: Server) -> None:
    for kind, made in (("closed", 0), ("unanswered", 1)):
        shop.world.faults.add(kind, method="POST", path="/customers")
        with pytest.raises(OSError, match=r"closed|reset|aborted"):
            api(served, "POST", "/customers", {"email": f"{kind}@example.com"})
        assert len(shop.get(f"/customers?email={kind}@example.com")) == made
    assert api(served, "POST", "/customers", {"email": "fine@example.com"})[0] == 201


@pytest.mark.parametrize(
    ("kind", "status", "content_type"),
    [
        ("too_many_requests", 429, "application/json"),
        ("error", 500, "application/json"),
        ("html", 200, "text/html; charset=utf-8"),
        ("bad_gateway", 502, "text/html; charset=utf-8"),
    ],
)
def test_an_answer_can_be_spoilt(shop: Shop, served: Server, kind: str, status: int, content_type: str) -> None:
    shop.world.faults.add(kind, seconds=7)
    got, raw, headers = fetch(f"{served.url}/customers", data=b'{"email": "a@example.com"}', headers=AUTH)
    assert (got, headers["Content-Type"]) == (status, content_type)
    assert headers.get("Retry-After") == ("7" if kind == "too_many_requests" else None)
    if content_type == "application/json":
        assert set(json.loads(raw)["error"]) == {"type", "code", "detail", "documentation_url"}
    assert shop.world.state.customers.rows() == []


def test_a_slow_answer_is_an_answer(shop: Shop, served: Server) -> None:
    shop.world.faults.add("slow", seconds=0.3)
    started = time.monotonic()
    assert api(served, "GET", "/customers")[0] == 200
    assert time.monotonic() - started >= 0.3


def test_a_fault_hits_the_calls_it_names_and_as_often_as_told(shop: Shop, served: Server) -> None:
    shop.world.faults.add("error", method="GET", path="/customers", times=2)
    statuses = [
        api(served, method, path, body)[0]
        for method, path, body in (
            ("GET", "/prices", None),
            ("POST", "/customers", {"email": "a@example.com"}),
            ("GET", "/customers", None),
            ("GET", "/customers", None),
            ("GET", "/customers", None),
        )
    ]
    assert statuses == [200, 201, 500, 500, 200]
    with pytest.raises(ValueError, match="no fault"):
        shop.world.faults.add("explodes")
