"""Generated requests, as visitor, customer and operator: none ends in a 5xx, at another site or as an error in the log.

`make bench ARGS=fuzz` sends more of them, and repeats one: `make bench ARGS="fuzz SEED NUMBER"`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, cast

import pytest
import time_machine
from pytest_django import Settings

from tests.billing import store as stores
from tests.fuzzing import generating, run, world
from tests.fuzzing.exchange import Got, Sent, one_connection
from tests.fuzzing.faults import faults_of, stays_here
from tests.fuzzing.world import NOW, World

REQUESTS = 3_000
SEED = 12


@pytest.fixture
def built(db: None, settings: Settings) -> Iterator[World]:
    with time_machine.travel(NOW, tick=True), stores.opened(settings) as store, one_connection():
        yield world.build(settings, store)


def test_no_request_breaks_it(built: World) -> None:
    found = list(run.failing(built, SEED, range(REQUESTS)))
    assert not found, f"{len(found)} of {REQUESTS}\n\n" + "\n\n".join(found[:20])


def test_a_request_can_be_made_again() -> None:
    # No request is sent, so nothing behind the addresses is needed; to build that takes seconds.
    parts = ("admin/", "accounts/login/", "dashboard/credits", "api/v1/usage", "pricing")
    addresses = {part.partition("/")[0]: [part] for part in parts}
    cookies: dict[str, dict[str, str]] = {caller: {} for caller in ("visitor", "customer", "operator")}
    small = World(cast("Any", None), cast("Any", None), cookies, ["key"], addresses, known={})
    again = [[generating.request(small, 1, number) for number in range(200)] for _ in range(2)]
    assert again[0] == again[1]
    assert again[0] != [generating.request(small, 2, number) for number in range(200)]


PAGE = [("Content-Type", "text/html")]
STYLED = b'<html><link href="css/tokens.css">'


@pytest.mark.parametrize(
    ("path", "got"),
    [("/", Got(500, PAGE, STYLED)), ("/", Got(404, PAGE, b"")), ("/", Got(400, PAGE, b"<h1>Bad Request (400)</h1>")),
     ("/", Got(200, PAGE, b"<html>")), ("/api/v1/x", Got(404, PAGE, STYLED)),
     ("/api/v1/x", Got(404, [("Content-Type", "application/problem+json")], b'{"status": 400}')),
     ("/", Got(302, [("Location", "/\\evil.example")], b"")), ("/", Got(200, [("HX-Redirect", "//evil.example")], b"")),
     ("/", Got(200, [("X", "a\r\nb")], b""))],
    ids=str,
)  # fmt: skip
def test_a_fault_of_a_response_is_seen(path: str, got: Got) -> None:
    assert list(faults_of(Sent("GET", path), got, []))


@pytest.mark.parametrize("level", [logging.ERROR, logging.WARNING])
def test_a_logged_exception_is_a_fault(level: int) -> None:
    error = (ValueError, ValueError("x"), None)
    record = logging.LogRecord("sidekick", level, __file__, 1, "broken", None, error)
    assert list(faults_of(Sent("GET", "/"), Got(200, PAGE, STYLED), [record]))


def test_a_good_response_has_no_fault() -> None:
    record = logging.LogRecord("django.security.DisallowedHost", logging.WARNING, __file__, 1, "x", None, None)
    for got in (Got(200, PAGE, STYLED), Got(404, PAGE, STYLED), Got(302, [("Location", "/pricing?next=//x")], b"")):
        assert list(faults_of(Sent("GET", "/"), got, [record])) == []


@pytest.mark.parametrize(
    "address", ["//evil.example", "/\t/evil.example", "/%5Cevil.example", "/%2F/x", "javascript:x"]
)
def test_a_way_to_another_site_is_seen(address: str) -> None:
    assert not stays_here(address)
