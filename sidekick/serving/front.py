"""The front of a web process: it takes requests and gives responses on an event loop, and runs Django in threads.

A thread is taken when a request is there as a whole, and given back when its response is made. Whoever sends or reads
slowly holds a connection, and no thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from sidekick.serving import bodies, shares
from sidekick.serving.bodies import ClientGone, Receive
from sidekick.serving.environ import Environ, Scope, environ_of

# Asked of the process, not of its threads, which may all be busy: it is answered on the event loop.
LIVENESS_PATH = "/healthz"
# In bytes: a file goes out in pieces of this size, and the next one is read when the client has taken the last.
PIECE = 64 * 1024

Send = Callable[[dict[str, Any]], Awaitable[None]]
Wsgi = Callable[[Environ, Any], Any]


@dataclass(slots=True)
class Response:
    """The head of a response, its first piece, and what yields the others; `others` is None when there are none."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    first: bytes = b""
    others: Iterator[bytes] | None = None
    close: Callable[[], None] = lambda: None

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
        """WSGI's `start_response`."""
        self.status = int(status[:3])
        self.headers = [(name.lower().encode("latin-1"), value.strip().encode("latin-1")) for name, value in headers]


class Front:
    """An ASGI application around a WSGI application."""

    def __init__(self, wsgi: Wsgi, *, threads: int) -> None:
        self.wsgi = wsgi
        self.threads = ThreadPoolExecutor(threads, "pages", initializer=shares.enter_thread)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        environ = environ_of(scope)
        try:
            body = await bodies.read(environ, receive) if bodies.has_body(environ) else BytesIO()
        except ClientGone:
            # Or it broke the rules of chunks, and reads this.
            return await self._send(Response(400, [(b"connection", b"close")]), send, receive, head=True)
        with body:
            environ["wsgi.input"] = body
            alive = environ["PATH_INFO"] == LIVENESS_PATH
            response = self._run(environ) if alive else await self._in_thread(self._run, environ)
        try:
            await self._send(response, send, receive, head=environ["REQUEST_METHOD"] == "HEAD")
        finally:
            if response.others is not None:
                await self._in_thread(response.close)

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, *arguments)

    def _run(self, environ: Environ) -> Response:
        response = Response()
        content = self.wsgi(environ, response.start)
        response.close = getattr(content, "close", response.close)
        # Closed here, unless further pieces follow.
        with ExitStack() as at_the_end:
            at_the_end.callback(response.close)
            blocks = iter(content)
            response.first, more = _piece(blocks)
            if more:
                response.others = blocks
                at_the_end.pop_all()
        if bodies.UNREAD in environ:
            # The rest of the body would be taken for the next request.
            response.headers.append((b"connection", b"close"))
        return response

    async def _send(self, response: Response, send: Send, receive: Receive, *, head: bool) -> None:
        await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
        more = response.others is not None and not head
        await send({"type": "http.response.body", "body": response.first, "more_body": more})
        if not more:
            return
        gone = asyncio.ensure_future(_left(receive))
        try:
            while more and not gone.done():
                piece, more = await self._in_thread(_piece, response.others)
                await send({"type": "http.response.body", "body": piece, "more_body": more})
        finally:
            gone.cancel()


async def _left(receive: Receive) -> None:
    """Returns when the client is gone."""
    # The end of an empty body may come first.
    while (await receive())["type"] != "http.disconnect":
        pass


def _piece(blocks: Iterator[bytes]) -> tuple[bytes, bool]:
    """Returns the next bytes, and whether there may be more."""
    piece, size = [], 0
    for block in blocks:
        piece.append(block)
        size += len(block)
        if size >= PIECE:
            return b"".join(piece), True
    return b"".join(piece), False
