"""One request as a server hands it to Django, however odd, and its response."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from django.core.signals import request_finished, request_started
from django.db import close_old_connections

HOST = "testserver"


@dataclass(frozen=True, slots=True)
class Sent:
    """A request. `target` is what stands in its first line, `headers` are taken as they are."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def environ(self) -> dict[str, Any]:
        path, _, query = self.target.partition("?")
        names = {"CONTENT-TYPE": "CONTENT_TYPE", "CONTENT-LENGTH": "CONTENT_LENGTH"}
        given = {"Host": HOST, **({"Content-Length": str(len(self.body))} if self.body else {}), **self.headers}
        headers = {
            names.get(name.upper(), "HTTP_" + name.upper().replace("-", "_")): value for name, value in given.items()
        }
        return {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": "",
            # Latin-1, as PEP 3333 demands.
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": HOST,
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(self.body),
            "wsgi.errors": BytesIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            **headers,
        }


@contextmanager
def one_connection() -> Iterator[None]:
    """A server lets go of its connection around a request; the transaction of a test lives in it."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@dataclass(frozen=True, slots=True)
class Got:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for known, value in self.headers if known.lower() == name.lower()), "")

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def media_type(self) -> str:
        return self.header("Content-Type").partition(";")[0]

    @property
    def cookies(self) -> dict[str, str]:
        pairs = [value.partition(";")[0].partition("=") for name, value in self.headers if name == "Set-Cookie"]
        return {name: value for name, _, value in pairs}


def ask(application: Callable[..., Iterable[bytes]], sent: Sent) -> Got:
    """Raises whatever leaves the application: a server would answer a bare 500."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    response: Any = application(sent.environ, lambda status, headers, *_: started.append((status, headers)))
    try:
        body = b"".join(response)
    finally:
        response.close()
    [(status, headers)] = started
    return Got(int(status.split()[0]), headers, body)
