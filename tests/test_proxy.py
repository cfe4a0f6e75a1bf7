"""The proxy of compose, before a server that says what reached it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tests import proxy
from tests.proxy import SITE, Proxy

MOST = 10


class Pages(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reached: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Pages

    def do_GET(self) -> None:
        self.server.reached.append(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        text = json.dumps({"headers": dict(self.headers), "body": body}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    with Pages() as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def nginx(pages: Pages) -> Iterator[Proxy]:
    if not proxy.is_installed():
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    with proxy.before(pages.server_port, CONNECTIONS_OF_ONE_ADDRESS=str(MOST)) as running:
        yield running


def ask(nginx: Proxy, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, Any]:
    client = nginx.connect()
    sent = {"Host": SITE, **{name.replace("_", "-"): value for name, value in headers.items()}}
    client.request(method, path, body, sent)
    response = client.getresponse()
    text = response.read().decode()
    client.close()
    return response.status, json.loads(text) if response.status == 200 else text


def begin(nginx: Proxy, path: str) -> socket.socket:
    """A request whose body is announced and doesn't come."""
    client = nginx.connect()
    client.connect()
    client.sock.sendall(f"POST {path} HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: 2\r\n\r\n".encode())
    return client.sock


def test_http_leads_to_https_at_our_own_address(nginx: Proxy) -> None:  # O6
    client = HTTPConnection("127.0.0.1", nginx.http, timeout=20)
    client.request("GET", "/dashboard/credits?page=2", headers={"Host": "evil.example"})
    response = client.getresponse()
    assert (response.status, response.headers["Location"]) == (308, f"https://{SITE}/dashboard/credits?page=2")


def test_a_visitor_s_own_words_about_the_way_are_replaced(nginx: Proxy) -> None:  # O6
    forged = {"X_Forwarded_For": "198.51.100.1", "X_Forwarded_Proto": "http", "X_Request_ID": "mine"}
    status, reached = ask(nginx, "POST", "/accounts/login/", "a=1", **forged)
    assert (status, reached["body"]) == (200, "a=1")
    headers = reached["headers"]
    told = {name: headers[name] for name in ("Host", "X-Forwarded-For", "X-Forwarded-Proto")}
    assert told == {"Host": SITE, "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https"}
    assert len(headers["X-Request-ID"]) == 32


def test_a_body_reaches_the_pages_whole_or_not_at_all(nginx: Proxy, pages: Pages) -> None:  # O6
    with begin(nginx, "/slow") as slow:
        assert ask(nginx, "GET", "/other")[0] == 200
        assert "/slow" not in pages.reached
        slow.sendall(b"{}")
        assert slow.recv(12) == b"HTTP/1.1 200"
    assert "/slow" in pages.reached


def test_a_body_that_is_too_long_does_not_reach_the_pages(nginx: Proxy, pages: Pages) -> None:  # O6
    client = nginx.connect()
    client.putrequest("POST", "/long")
    client.putheader("Content-Length", str(4 * 1024 * 1024))
    client.endheaders()
    assert client.getresponse().status == 413
    assert "/long" not in pages.reached
    client.close()


def test_one_address_has_so_many_requests_under_way(nginx: Proxy) -> None:  # O6
    with ExitStack() as held:
        for _ in range(MOST):
            held.enter_context(begin(nginx, "/held"))
        assert ask(nginx, "GET", "/one/more")[0] == 429


def test_while_the_pages_are_away_the_proxy_says_so() -> None:  # O6
    if not proxy.is_installed():
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with proxy.before(port) as running:
        status, text = ask(running, "GET", "/")
    assert status == 503
    assert "We’ll be right back" in text
