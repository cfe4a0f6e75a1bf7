from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from billing.paddle import signature
from billing.paddle.signature import SignatureRefused
from tests.billing.bodies import sign

NOW = datetime(2026, 5, 10, 12, 7, 30, tzinfo=UTC)
TS = int(NOW.timestamp())
SECRET = "pdl_ntfset_the_one_in_use"
OLD = "pdl_ntfset_the_one_before"
BODY = '{"event_id": "evt_1",  "data": {"name": "Zoë"}}'.encode()
NOT_TEXT = b"\xff\x00"
LIMIT = timedelta(seconds=300)


def h1(body: bytes = BODY, *, secret: str = SECRET, age: int = 0) -> str:
    return sign(body, secret=secret, at=NOW - timedelta(seconds=age)).partition("h1=")[2]


GOOD = f"ts={TS};h1={h1()}"
WRONG = "0" * 64


def verdict(header: str, body: bytes = BODY, *, secrets: tuple[str, ...] = (SECRET,)) -> str:
    try:
        signature.check(header, body, secrets=secrets, now=NOW, max_age=LIMIT)
    except SignatureRefused as refused:
        return refused.code
    return "taken"


def test_what_openssl_signed_is_taken() -> None:  # P1
    """Made by `printf '1778414850:{}' | openssl dgst -sha256 -hmac key`."""
    header = "ts=1778414850;h1=e41c5fe10569a16a30d8b57236afd1eb11ddfb3b08e731dcc0e59cbeb77537f2"
    assert int(NOW.timestamp()) == 1778414850
    assert verdict(header, b"{}", secrets=("key",)) == "taken"


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(GOOD, id="right"),
        pytest.param(f"ts={TS};h1={WRONG};h1={h1()}", id="two h1, the second right"),
        pytest.param(f"ts={TS};h1={h1()};h1={WRONG}", id="two h1, the first right"),
        pytest.param(f"ts={TS};h1=ÿ;h1={h1()}", id="two h1, one not ASCII"),
        pytest.param(f"h1={h1()};ts={TS}", id="h1 before ts"),
        pytest.param(f"v=2;ts={TS};h2=abc;h1={h1()};", id="unknown parts"),
        pytest.param(f" ts={TS} ; h1={h1()} ", id="spaces"),
        pytest.param(f"ts={TS - 300};h1={h1(age=300)}", id="just young enough"),
        pytest.param(f"ts={TS + 300};h1={h1(age=-300)}", id="just not too far ahead"),
    ],
)
def test_a_body_that_paddle_signed_is_taken(header: str) -> None:  # P1
    assert verdict(header) == "taken"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        pytest.param(f"ts={TS};h1={WRONG}", "wrong_signature", id="wrong"),
        pytest.param(f"ts={TS};h1={h1(secret='another_secret')}", "wrong_signature", id="another secret"),
        pytest.param(f"ts={TS + 1};h1={h1()}", "wrong_signature", id="another time than the signed one"),
        pytest.param(f"ts=0{TS};h1={h1()}", "wrong_signature", id="time written in another way"),
        pytest.param(f"ts={TS};h1={h1()[:-1]}", "wrong_signature", id="cut off"),
        pytest.param(f"ts={TS};h1=", "wrong_signature", id="empty h1"),
        pytest.param(f"ts={TS};h1=é{h1()}", "wrong_signature", id="h1 not ASCII"),
        pytest.param(f"ts={TS};h1=\udcff", "wrong_signature", id="h1 not even text"),
        pytest.param(f"ts={TS - 301};h1={h1(age=301)}", "stale", id="stale"),
        pytest.param(f"ts={TS - 172800};h1={h1(age=172800)}", "stale", id="two days old"),
        pytest.param(f"ts={TS + 301};h1={h1(age=-301)}", "stale", id="future"),
        pytest.param(f"ts={TS - 172800};h1={WRONG}", "wrong_signature", id="wrong and stale tells nothing of age"),
        pytest.param("", "unsigned", id="missing or empty"),
        pytest.param("  ", "unsigned", id="blank"),
        pytest.param("nonsense", "unsigned", id="nonsense"),
        pytest.param(f"ts={TS}", "unsigned", id="no h1"),
        pytest.param(f"h1={h1()}", "unsigned", id="no ts"),
        pytest.param(f"ts={TS};ts={TS};h1={h1()}", "unsigned", id="two ts"),
        pytest.param(f"ts=now;h1={h1()}", "unsigned", id="ts a word"),
        pytest.param(f"ts=-{TS};h1={h1()}", "unsigned", id="ts negative"),
        pytest.param(f"ts=²;h1={h1()}", "unsigned", id="ts a digit that isn't ASCII"),
        pytest.param(f"ts={'9' * 5000};h1={h1()}", "unsigned", id="ts endless"),
    ],
)
def test_anything_else_is_refused_in_words(header: str, code: str) -> None:  # P1
    assert verdict(header) == code


def test_either_secret_is_good_while_one_is_rotated() -> None:  # P1
    assert verdict(f"ts={TS};h1={h1(secret=OLD)}", secrets=(SECRET, OLD)) == "taken"
    assert verdict(GOOD, secrets=(OLD, SECRET)) == "taken"
    assert verdict(f"ts={TS};h1={h1(secret=OLD)}", secrets=(SECRET,)) == "wrong_signature"


def test_a_body_written_again_is_another_body() -> None:  # P1
    assert verdict(GOOD, json.dumps(json.loads(BODY)).encode()) == "wrong_signature"
    assert verdict(GOOD, BODY + b"\n") == "wrong_signature"


def test_a_body_that_is_not_text_can_be_signed_too() -> None:  # P1
    assert verdict(f"ts={TS};h1={h1(NOT_TEXT)}", NOT_TEXT) == "taken"


@pytest.mark.parametrize("secrets", [(), ("",), ("", "")])
def test_without_a_secret_nothing_is_taken_not_even_what_an_empty_one_signed(secrets: tuple[str, ...]) -> None:  # P1
    empty = f"ts={TS};h1={sign(BODY, secret='', at=NOW).partition('h1=')[2]}"
    assert verdict(empty, secrets=secrets) == "wrong_signature"
