"""One view for a page and for its fragment."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django_htmx.middleware import HtmxDetails

from sidekick.accounts.models import DeviceSession, User


class Request(HttpRequest):
    """What the middleware makes of a request; for annotations."""

    htmx: HtmxDetails
    user: User
    device_session: DeviceSession | None


def is_fragment(request: HttpRequest) -> bool:
    """Whether htmx will swap the answer into a page that stands already."""
    # A request that failed before htmx's middleware ran has no `htmx` yet.
    htmx: HtmxDetails = getattr(request, "htmx", None) or HtmxDetails(request)
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def render_page(
    request: HttpRequest, template: str, context: dict[str, Any], *, fragment: str, invalid: bool = False
) -> HttpResponse:
    """Answer with the page, or with only its fragment when htmx asked for a swap.

    A boosted link and a history restore carry htmx's header too, but replace the whole page.
    `invalid` answers a refused form: 422 to a page load, 200 to htmx, which swaps nothing else.
    """
    swap = is_fragment(request)
    status = 422 if invalid and not swap else 200
    response = render(request, fragment if swap else template, context, status=status)
    patch_vary_headers(response, ["HX-Request", "HX-Boosted", "HX-History-Restore-Request"])
    return response
