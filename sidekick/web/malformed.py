"""Requests that make no sense whatever their address: refused here with 4xx, before anything reads them.

No browser and no program of ours sends them. Read further on, each would be an exception somewhere else: PostgreSQL
stores no NUL, and Python has charsets that decode no text.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, TooManyFieldsSent
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils.http import parse_header_parameters

# Path and query as they were sent. Our longest links, those in emails, have some 200.
LONGEST_ADDRESS = 8_000


class MalformedRequest(BadRequest):
    """Nothing is wrong on our side: an error page or a problem with this status, and no error in the log."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


class ReadableRequest(WSGIRequest):
    """A request whose Content-Type can't keep Django from making it.

    Django parses the query by the named charset while it makes the request, where no handler catches what that raises.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        # No `encoding` is set: forms, queries and JSON are UTF-8, and the middleware refuses any other charset.
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except (ValueError, LookupError):
            self.content_type, self.content_params = "", {"charset": "unreadable"}


class MalformedRequestMiddleware:
    """Refuses a request by its head. Nothing that looks at address, query or cookies stands before it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        _check_head(request)
        return self.get_response(request)


class MalformedFormMiddleware:
    """Refuses a form by its fields, after the check against forgery let it be read at all."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        # Views without that check read their bodies themselves, as JSON.
        if request.method == "POST" and not getattr(view, "csrf_exempt", False):
            try:
                texts = list(_texts_of(request))
            except UnreadablePostError:
                raise MalformedRequest("The body broke off.") from None
            if any("\0" in text for text in texts):
                raise MalformedRequest("A field holds NUL.")


def _check_head(request: HttpRequest) -> None:
    meta = request.META
    query: str = meta.get("QUERY_STRING", "")
    length: str = meta.get("CONTENT_LENGTH") or "0"
    if len(request.path_info) + len(query) > LONGEST_ADDRESS:
        raise MalformedRequest("The address is too long.", 414)
    if not is_utf_8((request.content_params or {}).get("charset", "utf-8")):
        raise MalformedRequest("The charset is not UTF-8.")
    # Python reads no number of more than 4,300 digits.
    if not (length.isascii() and length.isdigit() and len(length) < 20):
        raise MalformedRequest("Content-Length is no number.")
    # The rule of Django's parser, which raises this only where the query is first looked at.
    if query.count("&") >= settings.DATA_UPLOAD_MAX_NUMBER_FIELDS:
        raise TooManyFieldsSent
    headers = (value for name, value in meta.items() if name.startswith(("HTTP_", "CONTENT_")))
    # A cookie's value may hide NUL as \000.
    if "%00" in query or any("\0" in text for text in (request.path_info, query, *headers, *request.COOKIES.values())):
        raise MalformedRequest("The request holds NUL.")


def is_utf_8(charset: str) -> bool:
    try:
        return codecs.lookup(charset).name == "utf-8"
    # Names that are no text raise more than `LookupError`.
    except (LookupError, ValueError):
        return False


def _texts_of(request: HttpRequest) -> Iterator[str]:
    """Everything in a form that may be stored as text."""
    for name, values in request.POST.lists():
        yield name
        yield from map(str, values)
    for name, files in request.FILES.lists():
        yield name
        for file in files:
            yield file.name or ""
            yield file.content_type or ""
