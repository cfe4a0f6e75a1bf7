"""Entity tags: a client that has a response already gets 304 instead of it.

A tag is a digest of the response's content, so it changes with any writer, and with a period that ends by the clock.
"""

from __future__ import annotations

import hashlib

from django.http import HttpRequest
from django.utils.http import parse_etags


def etag_of(*parts: object) -> str:
    """Returns a weak tag: responses that differ only in their time share it."""
    return f'W/"{hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()}"'


def has_seen(request: HttpRequest, etag: str) -> bool:
    """Whether `If-None-Match` names this tag; `*` names every one."""
    seen = {tag.removeprefix("W/") for tag in parse_etags(request.headers.get("If-None-Match", ""))}
    return not seen.isdisjoint({"*", etag.removeprefix("W/")})
