"""`docs/client.py` works against a real server."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import pytest
import time_machine
from django.urls import reverse
from pytest_django.live_server_helper import LiveServer

from credits.ledger import grants
from credits.models import Grant, Hold, UsageEvent, Wallet
from sidekick.accounts.models import ServiceKey, User
from tests.conftest import make_user
from tests.credits.books import NOW, assert_books_balance

CLIENT = Path(__file__).parent.parent / "docs" / "client.py"
HAIKU = "claude-haiku-4-5"


@pytest.fixture(scope="module")
def client() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_client", CLIENT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_client"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def alice(live_server: LiveServer) -> User:
    return make_user("alice@example.com")


@pytest.fixture
def sidekick(client: ModuleType, live_server: LiveServer) -> Any:
    _, key = ServiceKey.objects.issue("backend", scopes=["usage:write", "holds:write"])
    return client.Sidekick(live_server.url, key)


def metered(sidekick: Any, account: User, call: Any) -> str:
    answer: str = sidekick.metered(str(account.id), HAIKU, call, input_tokens=50_000, max_output_tokens=10_000)
    return answer


def test_a_call_is_held_made_and_settled(sidekick: Any, client: ModuleType, alice: User) -> None:  # M4 M2
    held = []

    def call() -> tuple[str, Any]:
        held.append(Wallet.objects.get(account=alice).held)
        return "Hello!", client.Usage(input_tokens=50_000, output_tokens=100)

    assert metered(sidekick, alice, call) == "Hello!"
    assert held == [Decimal("2.25")]
    assert Wallet.objects.get(account=alice).held == 0
    assert UsageEvent.objects.get(account=alice.id).credits == Decimal("1.01")
    assert Hold.objects.get().state == Hold.State.SETTLED
    assert_books_balance()


def test_a_call_that_fails_costs_nothing(sidekick: Any, alice: User) -> None:  # M4
    def call() -> tuple[str, Any]:
        raise ConnectionResetError("the model is down")

    with pytest.raises(ConnectionResetError):
        metered(sidekick, alice, call)
    assert Wallet.objects.get(account=alice).held == 0
    assert Hold.objects.get().state == Hold.State.RELEASED
    assert not UsageEvent.objects.exists()


def test_what_a_call_raised_is_told_also_when_its_hold_can_not_be_released(
    sidekick: Any, client: ModuleType, alice: User
) -> None:  # M4
    """The API refuses to release the hold, because usage has settled it meanwhile."""

    def call() -> tuple[str, Any]:
        held = Hold.objects.get()
        hold = client.Hold(str(held.id), held.amount, held.expires_at)
        sidekick.report(str(alice.id), "req_1", HAIKU, held.created_at, client.Usage(1, 1), hold)
        raise ConnectionResetError("the model is down")

    with pytest.raises(ConnectionResetError):
        metered(sidekick, alice, call)
    assert Hold.objects.get().state == Hold.State.SETTLED


def test_a_call_that_nothing_is_left_for_is_not_made(sidekick: Any, client: ModuleType, alice: User) -> None:  # M4
    grants.grant(alice.id, Decimal(1), kind=Grant.Kind.PURCHASED, source_key="buy")
    with pytest.raises(client.InsufficientCredits) as refused:
        sidekick.hold(str(alice.id), "req_1", HAIKU, 0, 10_000_000)
    assert (refused.value.available, refused.value.required) == (Decimal(51), Decimal(1000))


def test_an_event_that_can_not_be_stored_is_said(sidekick: Any, client: ModuleType, alice: User) -> None:
    with pytest.raises(client.Refused) as refused:
        metered(sidekick, User(id="00000000-0000-4000-8000-000000000000"), lambda: ("", client.Usage(1, 1)))
    assert refused.value.code == "unknown_account"


class Stubborn(BaseHTTPRequestHandler):
    """Fails twice and then succeeds; always fails for ids with `gone` in them."""

    asked: list[str] = []
    retry_after = "0"

    def do_DELETE(self) -> None:
        self.asked.append(self.path)
        if "cut" in self.path and len(self.asked) < 3:
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            return
        status = 503 if len(self.asked) < 3 or "gone" in self.path else 204
        self.send_response(status)
        if status == 503:
            self.send_header("Retry-After", self.retry_after)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def stubborn() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Stubborn)
    Stubborn.asked = []
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_what_passes_is_tried_again_and_not_for_ever(client: ModuleType, stubborn: str) -> None:
    sidekick = client.Sidekick(stubborn, "sk_1")
    sidekick.release(client.Hold("1", Decimal(1), None))
    assert len(Stubborn.asked) == 3
    with pytest.raises(client.Unreachable):
        sidekick.release(client.Hold("gone", Decimal(1), None))
    assert len(Stubborn.asked) == 3 + client.TRIES


@pytest.mark.parametrize(
    ("said", "waits"),
    [
        ("7", 7),
        ("Sun, 10 May 2026 12:07:42 GMT", 12),
        ("Sun, 10 May 2026 12:00:00 GMT", 0),
        ("Mon, 11 May 2026 12:00:00 GMT", 60),
        ("3600", 60),
        ("soon", 1),
        ("", 1),
    ],
)
def test_it_waits_as_long_as_the_server_says(
    client: ModuleType, stubborn: str, monkeypatch: Any, said: str, waits: float
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(client.time, "sleep", waited.append)
    monkeypatch.setattr(Stubborn, "retry_after", said)
    with time_machine.travel(NOW, tick=False):
        client.Sidekick(stubborn, "sk_1").release(client.Hold("1", Decimal(1), None))
    assert waited[0] == waits


def test_an_answer_that_is_cut_off_is_asked_for_again(client: ModuleType, stubborn: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(client.time, "sleep", lambda seconds: None)
    client.Sidekick(stubborn, "sk_1").release(client.Hold("cut", Decimal(1), None))
    assert len(Stubborn.asked) == 3


def test_the_docs_name_what_there_is() -> None:
    text = (CLIENT.parent / "api.md").read_text()
    assert reverse("api:openapi") in text
    assert reverse("api_docs") in text
    assert "](client.py)" in text
