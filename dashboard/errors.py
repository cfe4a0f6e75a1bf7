"""Error pages in the style of the others (N7). Below /api/ the same refusals are problem+json."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.csrf import requires_csrf_token

from dashboard import shell
from sidekick import problems

TITLES = {
    400: "That request makes no sense",
    403: "This page isn’t yours to open",
    404: "Page not found",
    429: "That was a bit fast",
    500: "Something went wrong",
}
CODES = {400: "invalid", 403: "permission_denied", 404: "not_found", 429: "throttled", 500: "error"}


@requires_csrf_token
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refuse(request, 400)


@requires_csrf_token
def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refuse(request, 403)


@requires_csrf_token
def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refuse(request, 404)


@requires_csrf_token
def too_many_requests(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return refuse(request, 429)


@requires_csrf_token
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return refuse(request, 403, template="403_csrf.html", title="This page is too old")


def server_error(request: HttpRequest) -> HttpResponse:
    """Rendered without the request: whatever broke (the database, a context processor) must not break this too."""
    if problems.is_api(request):
        return problems.problem_response(500, CODES[500], f"{TITLES[500]}.")
    context = {"title": TITLES[500], "theme": shell.theme(request), "home_url": settings.HOME_URL}
    return HttpResponse(render_to_string("500.html", context), status=500)


def refuse(request: HttpRequest, status: int, *, template: str = "", title: str = "") -> HttpResponse:
    if problems.is_api(request):
        return problems.problem_response(status, CODES[status], f"{title or TITLES[status]}.")
    context = {"title": title or TITLES[status]}
    return render(request, template or f"{status}.html", context, status=status)
