"""Bodies are read before a thread is taken, and not at all where the headers rule them out."""

from __future__ import annotations

from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import IO
from uuid import uuid4

import pytest
from django.conf import settings as project
from django.core.handlers.wsgi import WSGIRequest
from django.http import UnreadablePostError
from django.utils import timezone
from pytest_django import Settings

from billing.paddle.webhooks import MAX_BODY
from feedback.uploads import MOST_OF_A_BODY
from sidekick.accounts.models import DeviceSession
from sidekick.accounts.tokens import TokenPair
from sidekick.serving import bodies
from sidekick.serving.bodies import UNREAD, ClientGone
from sidekick.serving.environ import Environ, environ_of
from tests.sidekick.serving.requests import Receive, run, scope, sending, unasked

MEBIBYTE = 1024 * 1024
SIGNED = {"Paddle-Signature": "ts=1;h1=00"}
BEARER = {"Authorization": "Bearer sk_x"}
PAIR = TokenPair.for_session(DeviceSession(user_id=uuid4()), uuid4(), timezone.now())
SESSION = {"Cookie": f"theme=dark; {project.REFRESH_COOKIE}={PAIR.refresh}"}
FORGED = {"Cookie": f"theme=dark; {project.ACCESS_COOKIE}=eyJ; {project.REFRESH_COOKIE}={PAIR.refresh}x"}


def request(method: str, path: str, length: int | str = 10, headers: dict[str, str] | None = None) -> Environ:
    return environ_of(scope(method, path, {**(headers or {}), "Content-Length": str(length)}))


def read(environ: Environ, receive: Receive) -> bytes:
    async def all_of_it() -> bytes:
        with await bodies.read(environ, receive) as body:
            return b"" if UNREAD in environ else body.read()

    return run(all_of_it())


@pytest.mark.parametrize(
    ("why", "environ"),
    [
        pytest.param("unwanted", request("POST", "/webhooks/paddle"), id="no signature"),
        pytest.param("too_large", request("POST", "/webhooks/paddle", MAX_BODY + 1, SIGNED), id="too long a webhook"),
        pytest.param("unwanted", request("POST", "/api/v1/usage"), id="no service key"),
        pytest.param("too_large", request("POST", "/api/v1/usage", 3 * MEBIBYTE, BEARER), id="too many events"),
        pytest.param("too_large", request("POST", "/api/v1/auth/token", 3 * MEBIBYTE), id="too long a sign-in"),
        pytest.param("signed_out", request("POST", "/dashboard/feedback", MEBIBYTE), id="not signed in"),
        pytest.param("signed_out", request("POST", "/dashboard/billing/keep"), id="not signed in, a small form"),
        pytest.param("signed_out", request("POST", "/dashboard/feedback", MEBIBYTE, FORGED), id="forged cookies"),
        pytest.param(
            "too_large", request("POST", "/dashboard/feedback", MOST_OF_A_BODY + 1, SESSION), id="too large images"
        ),
        pytest.param(
            "too_large", request("POST", "/dashboard/billing/keep", 3 * MEBIBYTE, SESSION), id="too long a form"
        ),
        pytest.param("unwanted", request("POST", "/nothing/here"), id="no such page"),
        pytest.param("unwanted", request("GET", "/pricing"), id="GET"),
    ],
)
def test_a_body_that_headers_rule_out_is_not_read(why: str, environ: Environ) -> None:  # O6
    async def refused() -> None:
        with await bodies.read(environ, unasked) as body, pytest.raises(OSError, match="not read"):
            body.read()

    run(refused())
    assert environ[UNREAD] == why


@pytest.mark.parametrize(
    "length", [{"Content-Length": "5"}, {"Transfer-Encoding": "chunked"}], ids=["length", "chunks"]
)
def test_django_does_not_take_it_for_an_empty_one(length: dict[str, str]) -> None:  # O6
    environ = environ_of(scope("POST", "/webhooks/paddle", length))
    environ["wsgi.input"] = run(bodies.read(environ, unasked))
    with pytest.raises(UnreadablePostError):
        WSGIRequest(environ).read(10)


@pytest.mark.parametrize(
    "environ",
    [
        request("POST", "/webhooks/paddle", MAX_BODY, SIGNED),
        request("POST", "/api/v1/usage", 10, BEARER),
        request("POST", "/api/v1/auth/token"),
        request("POST", "/accounts/login/"),
        request("post", "/accounts/login/"),
        # Words of a report whose session is over are kept until its author is back.
        request("POST", "/dashboard/feedback", 64 * 1024),
        request("POST", "/dashboard/feedback", MOST_OF_A_BODY, SESSION),
        request("POST", "/admin/login/"),
    ],
    ids=lambda environ: str(environ["PATH_INFO"]),
)
def test_any_other_body_is_read_whole(environ: Environ) -> None:
    assert read(environ, sending(b"0123", b"456789")) == b"0123456789"
    assert environ["CONTENT_LENGTH"] == "10"


def test_a_body_in_chunks_is_read_up_to_its_limit() -> None:  # O6
    chunked = environ_of(scope("POST", "/webhooks/paddle", {**SIGNED, "Transfer-Encoding": "chunked"}))
    assert bodies.has_body(chunked)
    assert read(chunked, sending(b"{", b"}")) == b"{}"
    assert chunked["CONTENT_LENGTH"] == "2"
    endless = environ_of(scope("POST", "/webhooks/paddle", {**SIGNED, "Transfer-Encoding": "chunked"}))
    read(endless, sending(*[b"x" * MAX_BODY] * 2, then="stays"))
    assert endless[UNREAD] == "too_large"


def test_a_body_has_a_deadline(settings: Settings) -> None:  # O6
    settings.BODY_SECONDS = 0
    silent = request("POST", "/accounts/login/")
    read(silent, sending(b"0", then="stays"))
    assert silent[UNREAD] == "too_slow"


def test_a_client_that_goes_has_sent_nothing() -> None:  # O6
    with pytest.raises(ClientGone):
        read(request("POST", "/accounts/login/"), sending(b"half", then="goes"))


@pytest.mark.parametrize("receive", [sending(b"half", then="goes"), sending(b"x" * 3 * MEBIBYTE)], ids=["gone", "long"])
def test_a_body_that_is_not_taken_leaves_no_file_open(monkeypatch: pytest.MonkeyPatch, receive: Receive) -> None:  # O6
    opened: list[IO[bytes]] = []

    def open_file(size: int) -> IO[bytes]:
        opened.append(SpooledTemporaryFile(size))  # noqa: SIM115
        return opened[-1]

    monkeypatch.setattr(bodies, "SpooledTemporaryFile", open_file)
    with suppress(ClientGone):
        read(request("POST", "/accounts/login/"), receive)
    assert [file.closed for file in opened] == [True]


def test_without_a_body_there_is_nothing_to_read() -> None:
    assert not bodies.has_body(environ_of(scope("POST", "/accounts/logout/")))
    assert not bodies.has_body(request("POST", "/accounts/logout/", 0))
