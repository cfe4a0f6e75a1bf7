"""Requests as a server hands them to an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]


def scope(method: str, path: str, headers: dict[str, str] | list[tuple[str, str]] | None = None) -> Message:
    named = headers.items() if isinstance(headers, dict) else headers or []
    raw_path, _, query = path.partition("?")
    return {
        "type": "http",
        "method": method,
        "scheme": "http",
        "http_version": "1.1",
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "server": ("127.0.0.1", 8000),
        "client": ("203.0.113.7", 51000),
        "headers": [(name.lower().encode(), value.encode()) for name, value in named],
    }


def sending(*pieces: bytes, then: str = "end") -> Receive:
    """A client that sends a body in these pieces, and then ends it, goes, or says nothing any more."""
    messages: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    last: dict[str, Message] = {"end": {"type": "http.request", "body": b""}, "goes": {"type": "http.disconnect"}}
    messages += [last[then]] if then in last else []

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    return receive


async def unasked() -> Message:
    raise AssertionError("The body was asked for.")


class Client:
    """Takes what is sent; `waits` keeps it from taking more than the head."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.waits: asyncio.Event | None = None

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if self.waits and message["type"] == "http.response.body":
            await self.waits.wait()

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it on a loop in a thread of its own: browser tests in this process leave theirs in the main thread."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work).result()
