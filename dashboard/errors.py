"""Error pages in our style, and problem+json for paths below /api/ (N7)."""

from __future__ import annotations

import sys
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string

from dashboard import csrf_failures
from dashboard.context import theme_of
from dashboard.middleware import toast
from sidekick import database, metrics
from sidekick.api import problems
from sidekick.web.rendering import is_fragment

TITLES = {
    400: "That request makes no sense",
    403: "This page isn’t yours to open",
    404: "Page not found",
    405: "That can’t be done here",
    408: "That took too long to arrive",
    413: "That was too large to send",
    414: "That address is too long",
    429: "That was a bit fast",
    500: "Something went wrong",
    503: "We’ll be right back",
}
RETRY_AFTER = "10"
CODES = {
    400: "invalid",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    414: "invalid",
    429: "throttled",
    500: "error",
    503: "unavailable",
}


class MethodNotAllowedMiddleware:
    """Puts a page, or a problem, into the empty 405 of Django's views."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not isinstance(response, HttpResponseNotAllowed):
            return response
        shown = refuse(request, 405)
        shown.headers["Allow"] = response.headers["Allow"]
        return shown


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400, or the status that says more: 413 for a body that is too large."""
    too_large = isinstance(exception, RequestDataTooBig)
    return refuse(request, 413 if too_large else getattr(exception, "status", 400))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refuse(request, 403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refuse(request, 404)


def too_many_requests(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return refuse(request, 429)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    # A form of another site gets no page that it could fill in.
    if reason.startswith("CSRF") and (drawn := csrf_failures.draw_again(request)):
        return drawn
    return refuse(request, 403, template="403_csrf.html", title="This page is too old")


def server_error(request: HttpRequest) -> HttpResponse:
    """500, or 503 where the database can't be reached or has no time."""
    # Django calls this while it handles the exception.
    fault = database.fault(sys.exc_info()[1])
    if fault:
        metrics.database_errors.labels(fault.sqlstate or "none").inc()
    if database.is_passing(fault):
        return unavailable(request)
    if problems.is_api(request):
        return problems.problem_response(500, CODES[500], f"{TITLES[500]}.")
    return _alone(request, 500)


def unavailable(request: HttpRequest) -> HttpResponse:
    """503 while the database can't be reached; programs, browsers and pages are told to try again."""
    if problems.is_api(request):
        response: HttpResponse = problems.problem_response(503, CODES[503], "The database can’t be reached. Try again.")
    elif is_fragment(request):
        response = toast(503)
    else:
        response = _alone(request, 503)
    response.headers["Retry-After"] = RETRY_AFTER
    response.headers["Cache-Control"] = "no-store"
    return response


def refuse(request: HttpRequest, status: int, *, template: str = "", title: str = "") -> HttpResponse:
    if problems.is_api(request):
        return problems.problem_response(status, CODES[status], f"{title or TITLES[status]}.")
    if is_fragment(request):
        return toast(status)
    context = {"title": title or TITLES[status]}
    return render(request, template or f"{status}.html", context, status=status)


def _alone(request: HttpRequest, status: int) -> HttpResponse:
    """An error page rendered without context processors, which may be what failed."""
    context = {
        "title": TITLES[status],
        "theme": theme_of(request),
        "home_url": settings.HOME_URL,
        # Only a page that was loaded can be loaded again.
        "again": request.method == "GET",
    }
    return HttpResponse(render_to_string(f"{status}.html", context), status=status)
