"""The gateway against a server that answers from a script, as Paddle may, and as what stands in between may."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from pytest_django import Settings

from billing.paddle import api
from billing.paddle.errors import GENERAL, SENTENCES, UNKNOWN_OUTCOME
from billing.simulator.server import Server
from billing.simulator.world import World

KEY = "pdl_sdbx_apikey_of_these_tests"
ACCOUNT = UUID("5f0c2d7e-9b00-4000-8000-000000000001")
CTM, SUB, TXN, PRI = (f"{prefix}_01k{'a' * 23}" for prefix in ("ctm", "sub", "txn", "pri"))
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
Body = dict[str, Any]


@dataclass
class Answer:
    """One reaction of the server to a request: answer after some seconds, or hang up without a word."""

    body: Body | bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0
    hangs_up: bool = False


@dataclass
class Seen:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Body | None


class Scripted(ThreadingHTTPServer):
    """Answers in the order told; the last answer stays."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Answer] = []
        self.seen: list[Seen] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *args: object) -> None:
        """A client that was kept waiting may have left."""

    def says(self, *answers: Answer) -> None:
        self.script = list(answers)

    def methods(self) -> list[str]:
        return [request.method for request in self.seen]


class Handler(BaseHTTPRequestHandler):
    server: Scripted
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        # Not self.path, which is tidied up.
        parts = urlsplit(f"http://paddle{self.requestline.split()[1]}")
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.seen.append(Seen(self.command, parts.path, parse_qs(parts.query), dict(self.headers), body))
        script = self.server.script
        answer = script.pop(0) if len(script) > 1 else script[0]
        time.sleep(answer.seconds)
        if answer.hangs_up:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        raw = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(raw)),
            **answer.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    do_POST = do_PATCH = do_GET  # noqa: N815

    def log_message(self, *args: object) -> None:
        pass


def data(content: object, **pagination: object) -> Answer:
    meta: Body = {"request_id": "req-1"} | ({"pagination": pagination} if pagination else {})
    return Answer({"data": content, "meta": meta})


def refusal(code: str, status: int = 400, **headers: str) -> Answer:
    error = {"type": "request_error", "code": code, "detail": "alice@example.com may not", "documentation_url": "x"}
    body: Body = {"error": error, "meta": {"request_id": "b15ec92e-8688-40d4-a04d-f44cbec93355"}}
    return Answer(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


HTML = b"<html><body>alice@example.com: we'll be back soon</body></html>"
HANGS_UP = Answer(hangs_up=True)


@pytest.fixture
def server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    """The gateway talks to this server, and pauses hardly at all."""
    with Scripted() as scripted:
        Thread(target=scripted.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        settings.PADDLE_API_URL, settings.PADDLE_API_KEY = scripted.url, KEY
        settings.PADDLE_READ_SECONDS = settings.PADDLE_WRITE_SECONDS = 20
        settings.SITE_URL = "https://app.example.com"
        monkeypatch.setattr("billing.paddle.client.PAUSES", (0.01, 0.02))
        yield scripted
        scripted.shutdown()


def subscription(**changes: object) -> Body:
    entity: Body = {
        "id": SUB,
        "status": "active",
        "items": [{"price": {"id": PRI}, "quantity": 1}],
        "scheduled_change": None,
    }
    return entity | changes


def cancel_scheduled() -> Body:
    return subscription(
        scheduled_change={"action": "cancel", "effective_at": "2026-12-01T00:00:00Z", "resume_at": None}
    )


def fault_of(call: Callable[[], object]) -> api.PaddleFault:
    with pytest.raises(api.PaddleFault) as caught:
        call()
    return caught.value


def test_the_library_imports_with_our_pins() -> None:
    from paddle_billing_client.client import PaddleApiClient

    assert PaddleApiClient(base_url="http://localhost:1").endpoints.get_subscription


def test_the_library_is_loaded_when_it_is_first_needed() -> None:
    imports = "import billing.paddle.api, billing.pages.urls"
    code = f"import sys, django; django.setup(); {imports}; print('apiclient' in sys.modules)"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "sidekick.settings"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "False"


def test_a_request_carries_the_key_and_the_version(server: Scripted) -> None:
    server.says(data(subscription()))
    assert api.subscription(SUB)["id"] == SUB
    [request] = server.seen
    assert request.path == f"/subscriptions/{SUB}"
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["Paddle-Version"] == "1"


def test_a_setting_that_changed_is_followed(server: Scripted, settings: Settings) -> None:
    server.says(data(subscription()))
    api.subscription(SUB)
    settings.PADDLE_API_KEY = "another"
    api.subscription(SUB)
    assert [request.headers["Authorization"] for request in server.seen] == [f"Bearer {KEY}", "Bearer another"]


def test_one_client_serves_a_process_and_keeps_its_connections(server: Scripted) -> None:
    assert api._client() is api._client()


def test_a_fork_gets_a_client_of_its_own(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    before = api._client()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert api._client() is not before


def test_a_trailing_slash_of_the_address_does_no_harm(server: Scripted, settings: Settings) -> None:
    settings.PADDLE_API_URL += "/"
    server.says(data(subscription()))
    api.subscription(SUB)
    assert server.seen[0].path == f"/subscriptions/{SUB}"


def test_cloning_is_refused_since_a_clone_would_talk_to_the_sandbox(server: Scripted) -> None:
    with pytest.raises(NotImplementedError):
        api._client().clone()


def test_neither_netrc_nor_proxies_see_the_key(
    server: Scripted, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login eve password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    server.says(data(subscription()))
    api.subscription(SUB)
    assert server.seen[0].headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "strange", ["", "..", "../customers", "sub_1", f"{SUB}/cancel", SUB.upper(), f"{SUB}\n", "sub_"]
)
def test_what_is_no_id_is_not_asked_for(server: Scripted, strange: str) -> None:
    server.says(data(subscription()))
    for call in (api.subscription, api.cancel, api.transaction, api.invoice_url):
        assert fault_of(lambda call=call: call(strange)).code == "not_found"  # type: ignore[misc]
    assert server.seen == []


def test_a_paddle_that_is_down_is_unreachable_and_nothing_happened(server: Scripted, settings: Settings) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        settings.PADDLE_API_URL = f"http://127.0.0.1:{unused.getsockname()[1]}"
    for call in (api.subscription, api.cancel):
        fault = fault_of(lambda call=call: call(SUB))  # type: ignore[misc]
        assert (fault.code, fault.unknown_outcome) == ("unreachable", False)
        assert str(fault) == SENTENCES["unreachable"]


def test_a_slow_read_is_given_up_after_the_time_set_and_not_repeated(server: Scripted, settings: Settings) -> None:
    settings.PADDLE_READ_SECONDS = 1
    server.says(Answer(seconds=5))
    began = time.monotonic()
    fault = fault_of(lambda: api.subscription(SUB))
    assert (fault.code, fault.unknown_outcome) == ("slow", False)
    assert time.monotonic() - began < 5
    assert server.methods() == ["GET"]


def test_writes_are_waited_for_longer(server: Scripted, settings: Settings) -> None:
    settings.PADDLE_READ_SECONDS = 1
    slow = data(cancel_scheduled())
    slow.seconds = 1.2
    server.says(slow)
    assert api.cancel(SUB)["scheduled_change"]["action"] == "cancel"


def test_a_slow_write_has_an_unknown_outcome(server: Scripted, settings: Settings) -> None:
    settings.PADDLE_WRITE_SECONDS = 1
    server.says(Answer(seconds=5), data(subscription()))
    fault = fault_of(lambda: api.cancel(SUB))
    assert (fault.code, fault.unknown_outcome, str(fault)) == ("slow", True, UNKNOWN_OUTCOME)


def test_too_many_requests_hand_on_how_long_to_wait(server: Scripted) -> None:
    server.says(refusal("too_many_requests", 429, Retry_After="37"))
    began = time.monotonic()
    fault = fault_of(lambda: api.subscription(SUB))
    assert (fault.code, fault.retry_after, fault.unknown_outcome) == ("too_many_requests", 37, False)
    assert time.monotonic() - began < 30
    assert len(server.seen) == 1


@pytest.mark.parametrize("header", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "²", "9" * 5000])
def test_a_retry_after_that_is_no_number_is_left_out(server: Scripted, header: str) -> None:
    server.says(Answer(HTML, 429, {"Retry-After": header}))
    fault = fault_of(lambda: api.subscription(SUB))
    assert (fault.code, fault.retry_after) == ("too_many_requests", None)


BROKEN = {
    "500": refusal("internal_error", 500),
    "HTML 502": Answer(HTML, 502, {"Content-Type": "text/html"}),
    "HTML 200": Answer(HTML, 200, {"Content-Type": "text/html"}),
    "nothing": Answer(b"", 204),
    "no data": Answer({"meta": {}}),
    "a list": Answer(b"[]"),
    "other data": Answer({"data": [1, 2]}),
    "not UTF-8": Answer(b'{"data": "\xff\xfe"}'),
    "hangs up": HANGS_UP,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_read_that_breaks_is_tried_three_times(server: Scripted, name: str) -> None:
    server.says(BROKEN[name])
    fault = fault_of(lambda: api.subscription(SUB))
    assert fault.code == ("unreachable" if name == "hangs up" else "broken")
    assert not fault.unknown_outcome
    assert server.methods() == ["GET"] * 3


@pytest.mark.parametrize("name", BROKEN)
def test_a_read_succeeds_at_the_third_attempt(server: Scripted, name: str) -> None:
    server.says(BROKEN[name], BROKEN[name], data(subscription()))
    assert api.subscription(SUB)["id"] == SUB


@pytest.mark.parametrize("name", BROKEN)
def test_a_write_that_breaks_is_sent_once_and_may_have_happened(server: Scripted, name: str) -> None:
    server.says(BROKEN[name])
    fault = fault_of(lambda: api.open_transaction(price_id=PRI, quantity=7, customer_id=CTM, custom_data={}))
    assert fault.unknown_outcome
    assert str(fault) == UNKNOWN_OUTCOME
    assert server.methods() == ["POST"]


def test_a_redirect_is_not_followed_with_the_key(server: Scripted) -> None:
    with Scripted() as elsewhere:
        elsewhere.says(data(subscription()))
        Thread(target=elsewhere.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        server.says(Answer(b"", 307, {"Location": f"{elsewhere.url}/subscriptions/{SUB}"}))
        assert fault_of(lambda: api.subscription(SUB)).code == "broken"
        assert fault_of(lambda: api.cancel(SUB)).unknown_outcome
        elsewhere.shutdown()
    assert elsewhere.seen == []


def test_a_refused_write_did_not_happen(server: Scripted) -> None:
    server.says(refusal("subscription_locked_renewal"))
    fault = fault_of(lambda: api.cancel(SUB))
    assert (fault.code, fault.unknown_outcome) == ("subscription_locked_renewal", False)
    assert str(fault) == "Paddle is renewing this subscription right now. Try again in half an hour."
    assert fault.request_id == "b15ec92e-8688-40d4-a04d-f44cbec93355"
    assert server.methods() == ["POST"]


def test_a_code_nobody_knows_yet_gets_a_sentence_without_technique(server: Scripted) -> None:
    server.says(refusal("subscription_frobnicated"))
    fault = fault_of(lambda: api.cancel(SUB))
    assert (fault.code, str(fault)) == ("subscription_frobnicated", GENERAL)


def test_a_code_that_is_no_word_is_broken(server: Scripted) -> None:
    server.says(refusal("x\nforged log line"))
    assert fault_of(lambda: api.cancel(SUB)).code == "broken"


def test_every_sentence_is_one_or_two_short_ones_without_technique() -> None:
    for sentence in {*SENTENCES.values(), GENERAL, UNKNOWN_OUTCOME}:
        assert sentence.endswith(".")
        assert len(sentence) < 160
        assert not {"HTTP", "API", "JSON", "_", "transaction", "proration"} & set(sentence.split())
        assert "_" not in sentence


def test_logs_hold_the_code_and_the_request_but_no_bodies_emails_or_keys(
    server: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.says(refusal("customer_already_exists", 409), data([{"id": CTM, "email": "alice@example.com"}]))
    api.customer_of(ACCOUNT, email="alice@example.com", name="Alice Liddell")
    server.says(Answer(HTML))
    fault_of(lambda: api.customer_of(ACCOUNT, email="alice@example.com", name="Alice Liddell"))
    server.says(HANGS_UP)
    fault_of(lambda: api.customer_of(ACCOUNT, email="alice@example.com", name="Alice Liddell"))
    text = caplog.text
    assert "paddle POST /customers: customer_already_exists, request b15ec92e-8688-40d4-a04d-f44cbec93355" in text
    assert "paddle POST /customers: broken, request unnamed" in text
    for secret in ("alice", "Alice", "example.com", KEY, "may not", "back soon"):
        assert secret not in text


def test_a_fault_carries_no_cause_that_would_quote_the_answer(server: Scripted) -> None:
    for answer in (Answer(HTML), HANGS_UP):
        server.says(answer)
        fault = fault_of(lambda: api.subscription(SUB))
        assert fault.__cause__ is None
        assert fault.__context__ is None


def test_a_mistake_of_ours_is_not_taken_for_a_fault_of_paddle(server: Scripted) -> None:
    with pytest.raises(TypeError):
        api.make("product", {"name": object()})


def test_a_list_is_read_page_by_page(server: Scripted) -> None:
    server.says(
        data([{"id": 1}, {"id": 2}], next=f"{server.url}/subscriptions?after=2&per_page=2", has_more=True),
        data([{"id": 3}], next=f"{server.url}/subscriptions?after=3", has_more=False),
    )
    pages = api.subscriptions()
    assert next(pages)["id"] == 1
    assert len(server.seen) == 1
    assert [entity["id"] for entity in pages] == [2, 3]
    assert server.seen[0].query == {"per_page": ["200"], "order_by": ["id[ASC]"]}
    assert server.seen[1].query == {"after": ["2"], "per_page": ["2"]}


@pytest.mark.parametrize(
    "link",
    ["https://evil.example/subscriptions", "//evil.example", "/subscriptions?after=2", "http://127.0.0.1:1/", "None"],
)
def test_a_page_link_to_another_host_is_not_followed(server: Scripted, link: str) -> None:
    server.says(data([{"id": 1}], next=link, has_more=True))
    pages = api.subscriptions()
    assert next(pages)["id"] == 1
    assert fault_of(lambda: next(pages)).code == "broken"
    assert len(server.seen) == 1


def test_a_page_link_that_ends_in_another_host_is_not_followed(server: Scripted) -> None:
    server.says(data([{"id": 1}], next=f"{server.url}@evil.example/subscriptions", has_more=True))
    assert fault_of(lambda: list(api.subscriptions())).code == "broken"
    assert len(server.seen) == 1


def test_a_list_that_links_to_itself_ends(server: Scripted) -> None:
    server.says(data([{"id": 1}], next=f"{server.url}/subscriptions?after=1", has_more=True))
    assert fault_of(lambda: list(api.subscriptions())).code == "broken"
    assert len(server.seen) == 2


def test_events_are_read_from_the_beginning_or_after_one(server: Scripted) -> None:
    server.says(data([]))
    assert list(api.events_after("")) == []
    assert list(api.events_after("evt_1")) == []
    assert [request.query.get("after") for request in server.seen] == [None, ["evt_1"]]


def customer(account: UUID | None = ACCOUNT, **changes: object) -> Body:
    entity: Body = {"id": CTM, "email": "alice@example.com", "custom_data": account and {"account_id": str(account)}}
    return entity | changes


def alice() -> str | None:
    return api.customer_of(ACCOUNT, email="alice@example.com", name="Alice")


def test_a_customer_is_made_with_the_account_in_it(server: Scripted) -> None:
    server.says(data(customer()))
    assert alice() == CTM
    assert server.seen[0].body == {
        "email": "alice@example.com",
        "name": "Alice",
        "custom_data": {"account_id": str(ACCOUNT)},
    }


def test_a_customer_without_a_name_is_sent_none(server: Scripted) -> None:
    server.says(data(customer()))
    api.customer_of(ACCOUNT, email="alice@example.com", name="")
    assert "name" not in (server.seen[0].body or {})


def test_a_customer_that_exists_is_found_by_the_account_in_it(server: Scripted) -> None:
    server.says(refusal("customer_already_exists", 409), data([customer(None, id="ctm_x"), customer()]))
    assert alice() == CTM
    assert server.seen[1].query == {"email": ["alice@example.com"], "status": ["active,archived"]}


@pytest.mark.parametrize("holder", [customer(None), customer(UUID(int=7)), customer(custom_data={"account_id": None})])
def test_a_customer_of_somebody_else_with_the_same_email_is_not_taken(server: Scripted, holder: Body) -> None:
    server.says(refusal("customer_already_exists", 409), data([holder]))
    assert alice() is None


def test_a_customer_that_was_made_without_an_answer_is_found(server: Scripted) -> None:
    server.says(HANGS_UP, data([customer()]))
    assert alice() == CTM
    assert server.methods() == ["POST", "GET"]


def test_a_customer_that_was_not_made_leaves_the_outcome_unknown(server: Scripted) -> None:
    server.says(HANGS_UP, data([]))
    assert fault_of(alice).unknown_outcome
    server.says(HANGS_UP)
    assert fault_of(alice).unknown_outcome


def test_another_refusal_of_a_customer_is_a_fault(server: Scripted) -> None:
    server.says(refusal("invalid_field"))
    assert fault_of(alice).code == "invalid_field"


def opened(purchase_id: str = "p1", minutes: int = 0, **changes: object) -> Body:
    entity: Body = {
        "id": TXN,
        "status": "ready",
        "origin": "api",
        "custom_data": {"purchase_id": purchase_id},
        "created_at": (NOW + timedelta(minutes=minutes)).isoformat(),
        "checkout": {"url": f"https://app.example.com/pay?_ptxn={TXN}"},
    }
    return entity | changes


@pytest.mark.parametrize("customer_id", [CTM, None])
def test_a_transaction_is_opened_with_what_the_server_decided(server: Scripted, customer_id: str | None) -> None:
    server.says(data(opened()))
    found = api.open_transaction(price_id=PRI, quantity=137, customer_id=customer_id, custom_data={"purchase_id": "p1"})
    assert found["id"] == TXN
    assert server.seen[0].body == {
        "items": [{"price_id": PRI, "quantity": 137}],
        "custom_data": {"purchase_id": "p1"},
        **({"customer_id": CTM} if customer_id else {}),
    }


def look(customer_id: str | None = CTM) -> Body | None:
    return api.find_transaction(customer_id=customer_id, purchase_id="p1", since=NOW)


def test_a_transaction_is_found_by_its_purchase_on_a_later_page(server: Scripted) -> None:
    server.says(
        data([opened("p3"), opened("p2", custom_data=None)], next=f"{server.url}/transactions?after=x", has_more=True),
        data([opened("p1", minutes=-4), opened("p0")]),
    )
    assert (look() or {})["custom_data"] == {"purchase_id": "p1"}
    assert server.seen[0].query == {"customer_id": [CTM], "per_page": ["30"], "order_by": ["id[DESC]"]}


def test_a_transaction_is_looked_for_without_a_customer(server: Scripted) -> None:
    server.says(data([opened()]))
    assert look(None)
    assert "customer_id" not in server.seen[0].query


def test_a_buyers_own_checkout_that_names_the_purchase_is_not_ours(server: Scripted) -> None:  # B10
    server.says(data([opened(origin="web")]))
    assert look() is None


def test_looking_ends_at_what_is_older_than_the_purchase(server: Scripted) -> None:
    server.says(
        data([opened("p2"), opened("p1", minutes=-6)], next=f"{server.url}/transactions?after=x", has_more=True)
    )
    assert look() is None
    assert len(server.seen) == 1


def test_looking_ends_after_ten_pages(server: Scripted) -> None:
    page = [opened("other")] * 30
    server.says(*(data(page, next=f"{server.url}/transactions?after={n}", has_more=True) for n in range(20)))
    assert look() is None
    assert len(server.seen) == 10


def test_a_canceled_transaction_whose_answer_was_lost_is_seen(server: Scripted) -> None:
    server.says(HANGS_UP, data(opened(status="canceled")))
    assert api.cancel_transaction(TXN)["status"] == "canceled"
    assert [(request.method, request.body) for request in server.seen] == [
        ("PATCH", {"status": "canceled"}),
        ("GET", None),
    ]


# Subscriptions ------------------------------------------------------------------------------------------------------

CHANGES: dict[str, tuple[Callable[[], Body], str, Body, Body, Body]] = {
    "cancel": (
        lambda: api.cancel(SUB),
        f"POST /subscriptions/{SUB}/cancel",
        {"effective_from": "next_billing_period"},
        cancel_scheduled(),
        subscription(),
    ),
    "undo": (
        lambda: api.undo_scheduled_change(SUB),
        f"PATCH /subscriptions/{SUB}",
        {"scheduled_change": None},
        subscription(),
        cancel_scheduled(),
    ),
    "resume": (
        lambda: api.resume(SUB),
        f"POST /subscriptions/{SUB}/resume",
        {"effective_from": "immediately"},
        subscription(),
        subscription(status="paused"),
    ),
    "change plan": (
        lambda: api.change_plan(SUB, price_id=PRI, mode="prorated_immediately"),
        f"PATCH /subscriptions/{SUB}",
        {
            "items": [{"price_id": PRI, "quantity": 1}],
            "proration_billing_mode": "prorated_immediately",
            "on_payment_failure": "prevent_change",
        },
        subscription(),
        subscription(items=[{"price": {"id": "pri_other"}}]),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_sent_as_documented(server: Scripted, name: str) -> None:
    call, where, body, after, _ = CHANGES[name]
    server.says(data(after))
    assert call() == after
    [request] = server.seen
    assert (f"{request.method} {request.path}", request.body) == (where, body)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("lost", [HANGS_UP, Answer(HTML), refusal("internal_error", 500)], ids=["lost", "HTML", "500"])
def test_a_change_that_happened_without_an_answer_is_seen(server: Scripted, name: str, lost: Answer) -> None:
    call, _, _, after, _ = CHANGES[name]
    server.says(lost, data(after))
    assert call() == after
    assert server.methods()[1:] == ["GET"]


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_is_not_to_be_seen_has_an_unknown_outcome(server: Scripted, name: str) -> None:
    call, _, _, _, before = CHANGES[name]
    server.says(HANGS_UP, data(before))
    assert fault_of(call).unknown_outcome
    server.says(HANGS_UP)
    assert fault_of(call).unknown_outcome


def test_unknown_words_and_fields_do_no_harm(server: Scripted) -> None:
    new = subscription(status="hibernating", scheduled_change={"action": "hibernate"}, colour={"deep": [1]})
    server.says(data(new))
    assert api.subscription(SUB) == new
    server.says(HANGS_UP, data(new))
    assert fault_of(lambda: api.cancel(SUB)).unknown_outcome


def previewed(result: Body | None, totals: Body | None, **changes: object) -> Body:
    body: Body = {
        "currency_code": "USD",
        "next_billed_at": "2026-12-16T09:20:11.482Z",
        "immediate_transaction": totals and {"details": {"totals": totals}},
        "next_transaction": {
            "billing_period": {"starts_at": "2026-12-16T09:20:11.482Z"},
            "details": {"totals": {"grand_total": "5335", "tax": "435"}, "line_items": [{"product": {"id": None}}]},
        },
        "recurring_transaction_details": {"totals": {"grand_total": "5300"}},
        "update_summary": result and {"result": {"currency_code": "USD", **result}},
    }
    return body | changes


def preview(mode: str = "prorated_immediately") -> api.Preview:
    return api.preview_change(SUB, price_id=PRI, mode=mode)


NEXT = (5335, datetime(2026, 12, 16, 9, 20, 11, 482000, tzinfo=UTC))
CHARGE: Body = {"action": "charge", "amount": "1780"}
CREDIT: Body = {"action": "credit", "amount": "1780"}
DUE: Body = {"grand_total": "1780", "tax": "145"}
NONE_DUE: Body = {"grand_total": "0", "tax": "0"}


@pytest.mark.parametrize(
    ("result", "totals", "expected"),
    [
        (CHARGE, DUE, ("charge", 1780, 145)),
        (CHARGE, {"grand_total": "500", "tax": "145"}, ("charge", 500, 145)),  # The balance at Paddle paid the rest.
        (CHARGE, NONE_DUE, ("nothing", 0, 0)),
        (CREDIT, NONE_DUE, ("credit", 1780, 0)),
        (CREDIT, None, ("credit", 1780, 0)),
        (CREDIT | {"amount": "0"}, NONE_DUE, ("nothing", 0, 0)),
        (CHARGE, None, ("charge", 1780, 0)),
        (None, DUE, ("charge", 1780, 145)),
        ({"action": "gift", "amount": "1780"}, DUE, ("charge", 1780, 145)),
        ({"action": "gift", "amount": "1780"}, NONE_DUE, ("nothing", 0, 0)),
    ],
)
def test_a_preview_says_what_happens_at_once(
    server: Scripted, result: Body | None, totals: Body | None, expected: tuple[str, int, int]
) -> None:
    server.says(data(previewed(result, totals)))
    assert preview() == api.Preview(*expected, "USD", *NEXT)
    [request] = server.seen
    assert (request.method, request.path) == ("PATCH", f"/subscriptions/{SUB}/preview")
    assert (request.body or {})["proration_billing_mode"] == "prorated_immediately"


def test_a_preview_of_a_change_billed_later_charges_nothing_at_once(server: Scripted) -> None:
    server.says(data(previewed(CHARGE, None)))
    assert preview("prorated_next_billing_period") == api.Preview("nothing", 0, 0, "USD", *NEXT)


@pytest.mark.parametrize("result", [None, {"action": "gift", "amount": "1"}, {"action": "charge", "amount": None}])
def test_a_preview_that_does_not_say_what_is_due_is_broken(server: Scripted, result: Body | None) -> None:
    server.says(data(previewed(result, None)))
    assert fault_of(preview).code == "broken"


def test_a_preview_may_lack_what_comes_next(server: Scripted) -> None:
    server.says(data({"update_summary": {"result": CHARGE | {"currency_code": "EUR"}}}))
    assert preview() == api.Preview("charge", 1780, 0, "EUR", None, None)


def test_a_preview_changes_nothing_so_its_outcome_is_never_unknown(server: Scripted) -> None:
    server.says(Answer(HTML))
    assert not fault_of(preview).unknown_outcome
    assert server.methods() == ["PATCH"]


def test_a_portal_link_is_made_for_the_customer(server: Scripted) -> None:
    server.says(data({"urls": {"general": {"overview": "https://portal.example/x?token=y"}}}))
    assert api.portal_url(CTM, [SUB]) == "https://portal.example/x?token=y"
    assert api.portal_url(CTM, [])
    assert [request.body for request in server.seen] == [{"subscription_ids": [SUB]}, {}]
    assert server.seen[0].path == f"/customers/{CTM}/portal-sessions"


def test_an_invoice_is_a_link_to_a_file(server: Scripted) -> None:
    server.says(data({"url": "https://files.example/invoice.pdf?x=1"}))
    assert api.invoice_url(TXN) == "https://files.example/invoice.pdf?x=1"
    assert (server.seen[0].path, server.seen[0].query) == (
        f"/transactions/{TXN}/invoice",
        {"disposition": ["attachment"]},
    )


def test_a_new_card_has_a_transaction_of_its_own(server: Scripted) -> None:
    server.says(data(opened()))
    assert api.card_update(SUB)["checkout"]["url"] == f"https://app.example.com/pay?_ptxn={TXN}"
    assert server.seen[0].path == f"/subscriptions/{SUB}/update-payment-method-transaction"


UNSAFE = [
    None,
    "",
    7,
    "http://evil.example/",
    "javascript:alert(1)",
    "//evil.example",
    "https://",
    "https:///x",
    "https://user@evil.example/",
    "https://evil.example\\@x/",
    "https://evil.example/\nx",
    "ftp://x/",
]


@pytest.mark.parametrize("url", UNSAFE)
def test_a_link_that_is_not_https_is_handed_to_nobody(server: Scripted, url: object) -> None:
    server.says(data({"url": url, "urls": {"general": {"overview": url}}}))
    assert fault_of(lambda: api.invoice_url(TXN)).code == "broken"
    assert fault_of(lambda: api.portal_url(CTM, [])).code == "broken"


def test_a_link_to_what_runs_beside_us_is_fine(server: Scripted, settings: Settings) -> None:
    settings.SITE_URL = "http://localhost:8000"
    for url in (
        f"{server.url}/invoices/1",
        "http://localhost:8000/dashboard/billing/pay?_ptxn=1",
        "http://localhost:8000",
    ):
        server.says(data({"url": url}))
        assert api.invoice_url(TXN) == url
    for url in (f"{server.url}0/", "http://localhost:80/", "http://localhost:8000.evil.example/", "http://localhost/"):
        server.says(data({"url": url}))
        assert fault_of(lambda: api.invoice_url(TXN)).code == "broken"


@dataclass
class Shop:
    """Prices of a simulated Paddle, and a subscription to the first."""

    world: World
    url: str
    starter: str
    pro: str
    credit: str
    customer: str
    subscription: str


def sold(amount: int, *, monthly: bool) -> str:
    product = api.make("product", {"name": "Plan", "tax_category": "saas"})
    cycle = {"interval": "month", "frequency": 1} if monthly else None
    body: Body = {"description": "Plan", "product_id": product["id"], "billing_cycle": cycle}
    body["unit_price"] = {"amount": str(amount), "currency_code": "USD"}
    return str(api.make("price", body | ({} if monthly else {"quantity": {"minimum": 7, "maximum": 300}}))["id"])


@pytest.fixture
def shop(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr("billing.paddle.client.PAUSES", (0.01, 0.02))
    settings.SITE_URL = "http://localhost:8000"
    world = World(api_key=KEY, secret="pdl_ntfset_x", payment_link="http://localhost:8000/dashboard/billing/pay")
    with Server(world, port=0) as simulator:
        settings.PADDLE_API_URL, settings.PADDLE_API_KEY = simulator.url, KEY
        settings.PADDLE_READ_SECONDS = settings.PADDLE_WRITE_SECONDS = 20
        starter, pro, credit = sold(1500, monthly=True), sold(3900, monthly=True), sold(10, monthly=False)
        customer_id = alice() or ""
        begun = api.open_transaction(price_id=starter, quantity=1, customer_id=customer_id, custom_data={})
        subscription_id = str(world.pay(begun["id"])["subscription_id"])
        yield Shop(world, simulator.url, starter, pro, credit, customer_id, subscription_id)


def test_credits_are_bought_at_the_simulator(shop: Shop) -> None:  # B4 P7
    wish = {"account_id": str(ACCOUNT), "purchase_id": "p1"}
    opened = api.open_transaction(price_id=shop.credit, quantity=137, customer_id=shop.customer, custom_data=wish)
    assert opened["checkout"]["url"] == f"http://localhost:8000/dashboard/billing/pay?_ptxn={opened['id']}"
    for customer_id in (shop.customer, None):
        since = datetime.now(UTC) - timedelta(minutes=1)
        found = api.find_transaction(customer_id=customer_id, purchase_id="p1", since=since)
        assert found
        assert found["id"] == opened["id"]
    shop.world.pay(opened["id"])
    assert api.transaction(opened["id"])["status"] == "completed"
    assert api.invoice_url(opened["id"]).startswith(shop.url)


def test_a_purchase_whose_answer_was_lost_is_found_at_the_simulator(shop: Shop) -> None:
    shop.world.faults.add("unanswered", method="POST", path="/transactions")
    wish = {"purchase_id": "p1"}
    fault = fault_of(
        lambda: api.open_transaction(price_id=shop.credit, quantity=7, customer_id=shop.customer, custom_data=wish)
    )
    assert fault.unknown_outcome
    found = api.find_transaction(customer_id=shop.customer, purchase_id="p1", since=datetime.now(UTC))
    assert found
    assert api.cancel_transaction(found["id"])["status"] == "canceled"


def test_the_simulator_knows_a_customer_by_the_account(shop: Shop) -> None:
    assert alice() == shop.customer
    assert api.customer_of(UUID(int=7), email="alice@example.com", name="") is None
    shop.world.faults.add("unanswered", method="POST", path="/customers")
    made = api.customer_of(UUID(int=8), email="bob@example.com", name="")
    assert made
    assert api.customer_of(UUID(int=8), email="bob@example.com", name="") == made


@pytest.mark.parametrize("kind", ["", "unanswered"])
def test_a_subscription_is_canceled_kept_paused_resumed_and_changed_at_the_simulator(
    shop: Shop, kind: str
) -> None:  # B2 B3 B6
    def disturbed() -> None:
        if kind:
            shop.world.faults.add(kind, path="/subscriptions")

    disturbed()
    assert api.cancel(shop.subscription)["scheduled_change"]["action"] == "cancel"
    disturbed()
    assert api.undo_scheduled_change(shop.subscription)["scheduled_change"] is None
    disturbed()
    shop.world.pause(shop.subscription, datetime.now(UTC) + timedelta(days=90), now=False)
    assert api.undo_scheduled_change(shop.subscription)["scheduled_change"] is None
    shop.world.pause(shop.subscription)
    disturbed()
    assert api.resume(shop.subscription)["status"] == "active"
    disturbed()
    changed = api.change_plan(shop.subscription, price_id=shop.pro, mode="prorated_immediately")
    assert [item["price"]["id"] for item in changed["items"]] == [shop.pro]


@pytest.mark.parametrize("kind", ["closed", "error", "html", "bad_gateway"])
def test_a_change_the_simulator_never_made_is_no_success(shop: Shop, kind: str) -> None:
    shop.world.faults.add(kind, method="POST", path="/subscriptions")
    assert fault_of(lambda: api.cancel(shop.subscription)).unknown_outcome
    assert api.subscription(shop.subscription)["scheduled_change"] is None


def test_the_simulator_previews_what_it_then_charges(shop: Shop) -> None:  # B6
    shown = api.preview_change(shop.subscription, price_id=shop.pro, mode="prorated_immediately")
    assert (shown.action, shown.currency) == ("charge", "USD")
    assert 2800 <= shown.amount <= 2880
    assert shown.tax * 6 == pytest.approx(shown.amount, abs=6)
    assert shown.next_amount == 4680
    assert shown.next_at
    api.change_plan(shop.subscription, price_id=shop.pro, mode="prorated_immediately")
    newest = next(api._listed("list_transactions", order_by="id[DESC]"))
    assert newest["origin"] == "subscription_update"
    assert int(newest["details"]["totals"]["grand_total"]) == pytest.approx(shown.amount, abs=1)


def test_the_simulator_previews_a_downgrade_as_credit_or_as_nothing(shop: Shop) -> None:  # B6
    api.change_plan(shop.subscription, price_id=shop.pro, mode="prorated_immediately")
    now = api.preview_change(shop.subscription, price_id=shop.starter, mode="prorated_immediately")
    later = api.preview_change(shop.subscription, price_id=shop.starter, mode="do_not_bill")
    assert now.action == "credit"
    assert 2800 <= now.amount <= 2880
    assert (later.action, later.amount, later.next_amount) == ("nothing", 0, 1800)


def test_a_declined_upgrade_changes_nothing_at_the_simulator(shop: Shop) -> None:  # B6
    shop.world.fail_next_payment(shop.subscription)
    fault = fault_of(lambda: api.change_plan(shop.subscription, price_id=shop.pro, mode="prorated_immediately"))
    assert (fault.code, fault.unknown_outcome) == ("subscription_payment_declined", False)
    assert api.subscription(shop.subscription)["items"][0]["price"]["id"] == shop.starter


def test_the_simulator_gives_links_and_the_transaction_for_a_new_card(shop: Shop) -> None:  # B7
    assert api.portal_url(shop.customer, [shop.subscription]).startswith(shop.url)
    assert api.card_update(shop.subscription)["origin"] == "subscription_payment_method_change"


def test_the_simulator_lists_page_by_page(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = [event["event_id"] for event in api.events_after("")]
    monkeypatch.setattr(api, "A_PAGE", "3")
    assert [event["event_id"] for event in api.events_after("")] == everything
    assert [event["event_id"] for event in api.events_after(everything[4])] == everything[5:]
    assert [found["id"] for found in api.subscriptions()] == [shop.subscription]


@pytest.mark.parametrize("kind", ["closed", "error", "html", "bad_gateway"])
def test_a_read_survives_what_the_simulator_does_twice(shop: Shop, kind: str) -> None:
    shop.world.faults.add(kind, path="/subscriptions", times=2)
    assert api.subscription(shop.subscription)["id"] == shop.subscription


def test_the_simulator_may_be_called_by_its_other_name(shop: Shop, settings: Settings) -> None:
    """Settings say localhost; page links must then say so too, or they are not followed."""
    settings.PADDLE_API_URL = settings.PADDLE_API_URL.replace("127.0.0.1", "localhost")
    assert len(list(api._listed("list_events", per_page="2"))) > 2
