"""Entity tags: who has seen an answer already gets 304 instead of it.

A tag is a digest of all that the answer says, so it can't hold for longer than the answer does, whoever changed
what, and a period that ends by the clock changes it like everything else.
"""

from __future__ import annotations

import hashlib

from django.http import HttpRequest
from django.utils.http import parse_etags


def etag_of(*parts: object) -> str:
    """A weak tag: answers that differ only in when they were given share it."""
    return f'W/"{hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()}"'


def has_seen(request: HttpRequest, etag: str) -> bool:
    """Whether `If-None-Match` names this tag; `*` names every one."""
    seen = {tag.removeprefix("W/") for tag in parse_etags(request.headers.get("If-None-Match", ""))}
    return not seen.isdisjoint({"*", etag.removeprefix("W/")})
