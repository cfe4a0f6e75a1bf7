"""One view for a page, for its fragment, and for one region of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django_htmx.middleware import HtmxDetails


def render_page(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    *,
    fragment: str | None = None,
    regions: Mapping[str, str] | None = None,
    status: int = 200,
    retry_after: int | None = None,
) -> HttpResponse:
    """The page, or the part of it that htmx asked for, with dates in the account's time zone.

    `fragment` is the template of what a swap gets; None where the page is only ever loaded whole. `regions` maps the
    id of an htmx target to the template of that region, where a swap may ask for less than `fragment`.
    `status` is that of a full page load: 422 for a form with errors, 409, 429 or 503 for other refusals. A swap is
    always 200, the only status that htmx swaps. `retry_after` is in seconds.
    """
    swap = fragment is not None and is_fragment(request)
    part = (regions or {}).get(region_of(request), fragment) if swap else None
    with timezone.override(_zone_of(request)):
        response = render(request, part or template, context, status=200 if swap else status)
    if retry_after:
        response.headers["Retry-After"] = str(retry_after)
    if swap and request.method == "POST":
        # A POST that succeeds redirects, so this one was refused: its address is not one to come back to.
        response.headers["HX-Push-Url"] = "false"
    if fragment is not None:
        patch_vary_headers(response, ["HX-Request", "HX-Boosted", "HX-History-Restore-Request"])
    return response


def is_fragment(request: HttpRequest) -> bool:
    """Whether htmx will swap the response into a page that is open already.

    A boosted link and a history restore carry htmx's header too, but replace the whole page.
    """
    htmx = _htmx_of(request)
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def region_of(request: HttpRequest) -> str:
    """The id of the element that a swap replaces; "" for a page load, or where the element has no id."""
    return (_htmx_of(request).target or "") if is_fragment(request) else ""


def _htmx_of(request: HttpRequest) -> HtmxDetails:
    # A request that failed before htmx's middleware ran has no `htmx` yet.
    return getattr(request, "htmx", None) or HtmxDetails(request)


def _zone_of(request: HttpRequest) -> ZoneInfo | None:
    return getattr(request.user, "zone", None)
