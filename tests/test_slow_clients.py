"""Slow clients against a real web process, without the proxy and through it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from tests import proxy
from tests.production import PROXIED, Image, Web, postgres

MANY = 40


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    with postgres() as (_, url):
        image = Image(tmp_path_factory.mktemp("image"), url)
        image.run("deploy/start", "migrate")
        yield image


@pytest.fixture(scope="module")
def web(image: Image) -> Iterator[Web]:
    """One process of two threads, which waits a second for a body."""
    with image.served(WEB_PROCESSES="1", WEB_THREADS="2", BODY_SECONDS="1") as web:
        yield web


@contextmanager
def said(web: Web, text: str, count: int = 1) -> Iterator[list[socket.socket]]:
    """Connections that say this and nothing more."""
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", web.port), 20)) for _ in range(count)]
        for client in clients:
            client.sendall(text.encode())
        yield clients


def head(path: str, length: int, **headers: str) -> str:
    lines = {**PROXIED, **{name.replace("_", "-"): value for name, value in headers.items()}, "Content-Length": length}
    return "".join([f"POST {path} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in lines.items()), "\r\n"])


def response(client: socket.socket) -> tuple[int, str]:
    """Read until the server closes."""
    received = b""
    while block := client.recv(65536):
        received += block
    return int(received.split(b" ")[1]), received.decode()


SIGNED = head("/webhooks/paddle", 200_000, Paddle_Signature="ts=1;h1=00")
LOGIN = head("/accounts/login/", 200_000)


@pytest.mark.parametrize(
    "start",
    ["", "POST / HTTP/1.1\r\n", SIGNED, SIGNED + "{", LOGIN],
    ids=["nothing", "half a head", "a webhook's head", "a piece of a webhook", "a sign-in's head"],
)
def test_clients_that_say_nothing_more_keep_nobody_waiting(web: Web, start: str) -> None:  # O6
    with said(web, start, MANY):
        assert web.get("/healthz").status == 200
        assert web.get("/pricing").status == 200


def test_a_body_that_does_not_come_ends_with_a_reason(web: Web) -> None:  # O6
    with said(web, SIGNED + "{") as [client]:
        status, text = response(client)
    assert (status, '"code": "too_slow"' in text) == (408, True)
    assert web.get("/pricing").status == 200


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (head("/webhooks/paddle", 100), 401),
        (head("/webhooks/paddle", 300_000, Paddle_Signature="ts=1;h1=00"), 413),
        (head("/api/v1/usage", 100), 401),
        (head("/dashboard/feedback", 1_000_000), 302),
        (head("/dashboard/billing/keep", 100), 302),
        (head("/nothing/here", 100), 404),
        (head("/accounts/login/", 3_000_000), 413),
    ],
)
def test_a_body_that_headers_rule_out_is_refused_before_it_comes(web: Web, start: str, status: int) -> None:  # O6
    with said(web, start) as [client]:
        assert response(client)[0] == status


def test_a_body_in_chunks_is_read(web: Web) -> None:  # O6
    chunked = head(
        "/webhooks/paddle", 0, Paddle_Signature="ts=1;h1=00", Transfer_Encoding="chunked", Connection="close"
    )
    with said(web, chunked.replace("Content-Length: 0\r\n", "") + "2\r\n{}\r\n0\r\n\r\n") as [client]:
        status, text = response(client)
    assert (status, "wrong_signature" in text) == (401, True)


def test_pages_come_through_the_proxy_beside_clients_that_send_nothing(web: Web) -> None:  # O5 O6
    if not proxy.is_installed():
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    with proxy.before(web.port) as nginx, ExitStack() as silent:
        for _ in range(MANY):
            client = silent.enter_context(closing(nginx.connect()))
            client.putrequest("POST", "/webhooks/paddle")
            client.putheader("Content-Length", "1000")
            client.endheaders()
        page = silent.enter_context(closing(nginx.connect()))
        page.request("GET", "/accounts/login/", headers={"Host": proxy.SITE})
        found = page.getresponse()
        assert (found.status, found.headers["Strict-Transport-Security"][:16]) == (200, "max-age=31536000")
        assert "__Host-csrftoken" in found.headers["Set-Cookie"]
