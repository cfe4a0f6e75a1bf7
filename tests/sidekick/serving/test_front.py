"""Slow clients hold a connection and no thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import pytest

from sidekick.serving.environ import Environ
from sidekick.serving.front import PIECE, Front
from tests.sidekick.serving.requests import Client, Receive, run, scope, sending, unasked

LOGIN = scope("POST", "/accounts/login/", {"Content-Length": "10"})
PAGE = scope("GET", "/pricing")
PATIENCE = 20


def echo(environ: Environ, start: Callable[..., Any]) -> list[bytes]:
    start("200 OK", [("Content-Type", "text/plain"), ("Set-Cookie", " a=1"), ("Set-Cookie", " b=2")])
    return [environ["REQUEST_METHOD"].encode(), b" ", environ["wsgi.input"].read()]


class File:
    """A response of several pieces, which notes that it was closed."""

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces
        self.closed = False

    def __call__(self, environ: Environ, start: Callable[..., Any]) -> File:
        start("200 OK", [("Content-Length", str(self.pieces * PIECE))])
        return self

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(4 * self.pieces):
            yield b"x" * (PIECE // 4)

    def close(self) -> None:
        self.closed = True


async def ask(front: Front, asked: dict[str, Any], receive: Receive = unasked, client: Client | None = None) -> Client:
    client = client or Client()
    async with asyncio.timeout(PATIENCE):
        await front(asked, receive, client.send)
    return client


def test_a_request_and_its_response_pass_unchanged() -> None:
    client = run(ask(Front(echo, threads=1), LOGIN, sending(b"01234", b"56789")))
    assert (client.status, client.body) == (200, b"POST 0123456789")
    assert client.sent[0]["headers"].count((b"set-cookie", b"a=1")) == 1
    assert client.headers["set-cookie"] == "b=2"


def test_a_client_that_sends_nothing_keeps_nobody_waiting() -> None:  # O6
    async def beside_silent_ones() -> Client:
        front = Front(echo, threads=1)
        silent = [asyncio.ensure_future(front(LOGIN, sending(b"0", then="stays"), Client().send)) for _ in range(200)]
        await asyncio.sleep(0)
        page = await ask(front, PAGE)
        assert not any(each.done() for each in silent)
        for each in silent:
            each.cancel()
        return page

    assert run(beside_silent_ones()).status == 200


def test_a_client_that_reads_nothing_keeps_nobody_waiting() -> None:  # O6
    async def beside_a_slow_reader() -> tuple[Client, Client]:
        file = File(8)
        front = Front(lambda *given: (file if given[0]["PATH_INFO"] == "/file" else echo)(*given), threads=1)
        slow = Client()
        slow.waits = asyncio.Event()
        download = asyncio.ensure_future(ask(front, scope("GET", "/file"), sending(b"", then="stays"), slow))
        while len(slow.sent) < 2:
            await asyncio.sleep(0)
        page = await ask(front, PAGE)
        assert not file.closed
        slow.waits.set()
        await download
        assert file.closed
        return page, slow

    page, slow = run(beside_a_slow_reader())
    assert page.status == 200
    assert slow.body == b"x" * 8 * PIECE
    assert max(len(message.get("body", b"")) for message in slow.sent) == PIECE


def test_a_file_is_closed_when_its_reader_goes() -> None:  # O6
    file = File(1000)
    client = run(ask(Front(file, threads=1), scope("GET", "/file"), sending(b"", then="goes")))
    assert file.closed
    assert len(client.sent) < 1000


def test_the_head_of_a_file_has_no_body() -> None:
    file = File(8)
    client = run(ask(Front(file, threads=1), scope("HEAD", "/file")))
    assert (client.headers["content-length"], len(client.sent)) == (str(8 * PIECE), 2)
    assert file.closed


def test_liveness_is_told_while_every_thread_is_busy() -> None:  # O3 O6
    over = Event()

    def busy(environ: Environ, start: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] != "/healthz":
            assert over.wait(PATIENCE)
        return echo(environ, start)

    async def beside_busy_threads() -> Client:
        front = Front(busy, threads=1)
        waiting = [asyncio.ensure_future(ask(front, PAGE)) for _ in range(3)]
        await asyncio.sleep(0)
        alive = await ask(front, scope("GET", "/healthz"))
        over.set()
        await asyncio.gather(*waiting)
        return alive

    assert run(beside_busy_threads()).status == 200


def test_half_a_body_reaches_nobody() -> None:  # O6
    client = run(ask(Front(echo, threads=1), LOGIN, sending(b"01234", then="goes")))
    assert (client.status, client.body, client.headers["connection"]) == (400, b"", "close")


def test_a_connection_with_an_unread_body_is_closed() -> None:  # O6
    unsigned = scope("POST", "/webhooks/paddle", {"Content-Length": "100"})
    front = Front(lambda environ, start: start("401 Unauthorized", []) or [b""], threads=1)
    client = run(ask(front, unsigned))
    assert (client.status, client.headers["connection"]) == (401, "close")


def test_an_error_leaves_no_file_open() -> None:
    class Broken(File):
        def __iter__(self) -> Iterator[bytes]:
            raise ValueError

    file = Broken(1)
    with pytest.raises(ValueError):  # noqa: PT011
        run(ask(Front(file, threads=1), PAGE))
    assert file.closed
