"""The buttons of the panel."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from billing.simulator.server import Server
from tests.billing.simulator.shop import Shop, fetch


@pytest.fixture
def press(served: Server) -> Callable[..., str]:
    """Press a button. Returns the message on the panel after it."""

    def press(verb: str, **fields: str) -> str:
        url = f"{served.url}/panel/{verb}"
        status, _, headers = fetch(url, data=urlencode(fields).encode(), headers={"Origin": served.url})
        assert status == 303
        return parse_qs(urlsplit(headers["Location"]).query).get("said", [""])[0]

    return press


def panel(served: Server) -> str:
    status, body, _ = fetch(f"{served.url}/")
    assert status == 200
    return body.decode()


def test_buttons_of_a_subscription(shop: Shop, press: Callable[..., str]) -> None:
    subscription = shop.subscribe()

    def status() -> Any:
        return shop.get(f"/subscriptions/{subscription}")["status"]

    for verb, then in (
        ("renew", "active"),
        ("fail", "active"),
        ("renew", "past_due"),
        ("pay", "active"),
        ("fail", "active"),
        ("good", "active"),
        ("to-renewal", "active"),
        ("pause", "paused"),
        ("resume", "active"),
        ("cancel", "canceled"),
    ):
        assert press(verb, id=subscription) == ""
        assert status() == then, verb
    assert "canceled" in press("renew", id=subscription)


def test_buttons_of_a_transaction_and_its_adjustments(shop: Shop, press: Callable[..., str]) -> None:
    paid = shop.buy("credit", 137)

    def left() -> Any:
        return shop.get(f"/transactions/{paid['id']}")["details"]["adjusted_totals"]["total"]

    def newest() -> str:
        return str(shop.get("/adjustments")[0]["id"])

    assert press("refund", id=paid["id"], amount="4.44") == ""
    assert press("approve", id=newest()) == ""
    assert left() == "1200"
    assert press("refund", id=paid["id"], amount="") == ""
    assert press("reject", id=newest()) == ""
    assert left() == "1200"
    for verb in ("warn", "chargeback"):
        assert press(verb, id=paid["id"]) == ""
        assert left() == "0"
        assert press("reverse", id=newest()) == ""
        assert left() == "1200"


@pytest.mark.parametrize("amount", ["x", "0", "-1", "1.234", "999", "NaN", "1e99"])
def test_an_amount_that_cannot_be_refunded_is_said(shop: Shop, press: Callable[..., str], amount: str) -> None:
    paid = shop.buy("credit", 137)
    assert press("refund", id=paid["id"], amount=amount)
    assert shop.get("/adjustments") == []


def test_the_clock_is_moved_by_days(shop: Shop, press: Callable[..., str]) -> None:
    before = shop.world.now()
    assert press("move", days="40") == ""
    assert shop.world.now() - before >= timedelta(days=40)
    for days in ("0", "-1", "x", "99999"):
        assert press("move", days=days)
    assert shop.world.now() - before < timedelta(days=41)


def test_switches_and_faults(shop: Shop, press: Callable[..., str]) -> None:
    for name in ("hold", "duplicate", "shuffle", "approve_at_once"):
        assert press("switch", name=name, on="1") == ""
        assert shop.world.state.memory.modes[name] is True
        press("switch", name=name, on="0")
        assert shop.world.state.memory.modes[name] is False
    assert press("switch", name="turbo", on="1")
    assert press("fault", kind="html", method="POST", path="/transactions", times="2", seconds="3") == ""
    [fault] = shop.world.faults.waiting
    assert (fault.kind, fault.method, fault.path, fault.times, fault.seconds) == ("html", "POST", "/transactions", 2, 3)
    assert press("fault", kind="explodes")
    assert press("fault", kind="html", times="many")
    press("clear-faults")
    assert shop.world.faults.waiting == []


def test_a_webhook_is_replayed(shop: Shop, press: Callable[..., str]) -> None:
    shop.world.subscribe("http://127.0.0.1:9/webhooks")
    shop.customer()
    assert press("replay", id=shop.get("/notifications")[0]["id"]) == ""
    assert len(shop.get("/notifications")) == 2


def test_unknown_things_are_said_and_unknown_buttons_are_404(
    shop: Shop, served: Server, press: Callable[..., str]
) -> None:
    for verb in ("renew", "pay", "approve", "reverse", "refund", "replay"):
        assert "not found" in press(verb, id="nothing")
    assert fetch(f"{served.url}/panel/explode", data=b"")[0] == 404
    assert fetch(f"{served.url}/nowhere")[0] == 404
