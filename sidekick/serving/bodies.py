"""The bodies of requests: which are read at all, and how long a client may take to send one.

A body is read as a whole before a thread is taken, so a client that sends slowly holds a connection and nothing else.
A body that the headers alone rule out is not read: a view's terms say which those are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO, Any, NoReturn, TypeVar

from django.conf import settings
from django.http import Http404, parse_cookie
from django.urls import resolve

from sidekick.serving.environ import Environ

# The key of the environ under which Django finds why a body was not read.
UNREAD = "sidekick.unread"
TOO_LARGE, TOO_SLOW, SIGNED_OUT, UNWANTED = "too_large", "too_slow", "signed_out", "unwanted"
# A larger body waits on disk, so that many clients at once don't fill the memory.
IN_MEMORY = 64 * 1024
# The slowest upload that is waited for, in bytes a second.
SLOWEST = 64 * 1024
SENDING = {"POST", "PUT", "PATCH", "DELETE"}

Receive = Callable[[], Awaitable[dict[str, Any]]]
View = TypeVar("View", bound=Callable[..., Any])


class ClientGone(Exception):
    """The connection ended before its body did."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The bodies that a view takes: their size in bytes, and the header or the cookies that must come along.

    `cookies` returns whether those are right, and may ask neither database nor network. `signed_out` are the bytes that
    are read without them all the same.
    """

    most: int | None = None
    header: str = ""
    cookies: Callable[[dict[str, str]], bool] | None = None
    signed_out: int = 0


def takes_body(**terms: Any) -> Callable[[View], View]:
    """Mark a view with terms of its own; without them it takes `DATA_UPLOAD_MAX_MEMORY_SIZE` of anyone."""

    def mark(view: View) -> View:
        marked: Any = view
        marked.body_terms = replace(terms_of(view), **terms)
        return view

    return mark


def terms_of(view: Any) -> Terms:
    # Django REST framework authenticates before it reads.
    needs_bearer = getattr(getattr(view, "cls", None), "authentication_classes", None)
    return getattr(view, "body_terms", None) or Terms(header="Authorization" if needs_bearer else "")


def has_body(environ: Environ) -> bool:
    return environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ


async def read(environ: Environ, receive: Receive) -> IO[bytes]:
    """Returns the body, to be closed, and notes its length; or a stream that can't be read, and why in `UNREAD`.

    Raises `ClientGone`.
    """
    terms = _terms_for(environ)
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE if terms is None or terms.most is None else terms.most
    announced = environ.get("CONTENT_LENGTH", "")
    why = _unread(environ, terms, int(announced) if announced.isdecimal() else 0, most)
    if not why:
        # Without a length, as in chunks, it may be as long as any.
        seconds = settings.BODY_SECONDS + (int(announced) if announced.isdecimal() else most) / SLOWEST
        try:
            async with asyncio.timeout(seconds):
                body = await _received(receive, most)
        except TimeoutError:
            why = TOO_SLOW
        else:
            if body:
                environ["CONTENT_LENGTH"] = str(body.tell())
                body.seek(0)
                return body
            why = TOO_LARGE
    environ[UNREAD] = why
    # Without a length Django would not ask the stream, and take the body for an empty one.
    environ["CONTENT_LENGTH"] = announced if announced.isdecimal() else "1"
    return _Unreadable()


def _terms_for(environ: Environ) -> Terms | None:
    path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
    try:
        return terms_of(resolve(path).func)
    except Http404:
        return None


def _unread(environ: Environ, terms: Terms | None, length: int, most: int) -> str:
    """Returns why this body is not read, or ""."""
    if terms is None or environ["REQUEST_METHOD"] not in SENDING:
        return UNWANTED
    if terms.header and not environ.get(f"HTTP_{terms.header.upper().replace('-', '_')}"):
        return UNWANTED
    suffices = 0 < length <= terms.signed_out
    if terms.cookies and not suffices and not terms.cookies(parse_cookie(environ.get("HTTP_COOKIE", ""))):
        return SIGNED_OUT
    return TOO_LARGE if length > most else ""


async def _received(receive: Receive, most: int) -> IO[bytes] | None:
    """The body, its end being the position; None where it is larger than `most`."""
    # Closed on every way out but one: a whole body is the request's to close.
    with ExitStack() as unless_whole:
        body = unless_whole.enter_context(SpooledTemporaryFile(IN_MEMORY))
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGone
            body.write(message.get("body", b""))
            if body.tell() > most:
                return None
            more = message.get("more_body", False)
        unless_whole.pop_all()
    return body


class _Unreadable(BytesIO):
    """Takes the place of a body that was not read: nobody may take it for an empty one."""

    def read(self, size: int | None = -1, /) -> NoReturn:
        raise OSError("This body was not read.")

    readline = read
