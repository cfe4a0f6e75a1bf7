"""Turns an error page into a message where htmx waits for a part of a page."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string

from sidekick.web.rendering import is_fragment

MESSAGES = {
    400: "Sidekick couldn’t read that request. Reload the page and try again.",
    403: "That wasn’t allowed. This page may be too old: reload it and try again.",
    404: "That isn’t there any more. Reload the page to see what is.",
    408: "That took too long to arrive. Check your connection and try again.",
    413: "That was too large to send. Send less at once.",
    429: "That was a bit fast. Wait a minute, then try again.",
    503: "Sidekick can’t reach its data for a moment. Please try again shortly.",
}
OTHER_MESSAGE = "That didn’t work, and it’s our fault. Please try again."


class HtmxFailureMiddleware:
    """A swap that fails shows a toast; page and URL stay as they are (N7).

    The response keeps its status. `toasts.js` lets htmx swap an error whose target is the toasts.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        if response.status_code < 400 or not is_page or not is_fragment(request):
            return response
        shown = toast(response.status_code)
        shown.cookies = response.cookies
        for header in ("Retry-After", "Cache-Control"):
            if header in response.headers:
                shown.headers[header] = response.headers[header]
        return shown


def toast(status: int) -> HttpResponse:
    return HttpResponse(
        render_to_string("dashboard/_toast.html", {"level": "error", "message": MESSAGES.get(status, OTHER_MESSAGE)}),
        status=status,
        headers={"HX-Retarget": "#toasts", "HX-Reswap": "beforeend", "HX-Push-Url": "false"},
    )
