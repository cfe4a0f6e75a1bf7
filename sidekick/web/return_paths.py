"""The way back to a page that a header or a form names. It never leaves this host, whatever a browser makes of it."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

from django.http import HttpRequest
from django.utils.encoding import iri_to_uri
from django.utils.http import url_has_allowed_host_and_scheme

# Django refuses to redirect to more than 2,048 characters, and an address of sign-in holds this one quoted.
LONGEST = 1_800
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def path_here(request: HttpRequest, address: str) -> str:
    """Returns path and query of an address on this very host, quoted; "" for any other.

    The path begins with one slash, also after it is unquoted. A query that would be too long is left out.
    """
    # Django's check takes no more than 2,048 characters either; no part of a host is in a query.
    address, _, query = address.strip(" ").partition("#")[0].partition("?")
    host = {request.get_host()}
    safe = url_has_allowed_host_and_scheme(address, host, require_https=request.is_secure())
    if not safe or CONTROL.search(address + query):
        return ""
    parts = urlsplit(address)
    path = parts.path or ("/" if parts.netloc else "")
    # Browsers take a backslash for a slash, and some servers on the way unquote.
    seen = _unquoted(path).replace("\\", "/")
    if not path.startswith("/") or seen.startswith("//") or CONTROL.search(seen):
        return ""
    whole = iri_to_uri(f"{path}?{query}" if query else path)
    return next((found for found in (whole, iri_to_uri(path)) if _is_short(found)), "")


def leads_here(request: HttpRequest, address: str) -> bool:
    """Whether a redirect to this address as it stands stays on this very host."""
    return address == address.strip(" ") and _is_short(address) and bool(path_here(request, address))


def _unquoted(path: str) -> str:
    while (found := unquote(path)) != path:
        path = found
    return path


def _is_short(address: str) -> bool:
    return len(quote(address, safe="")) <= LONGEST
