"""Forms refused for an old CSRF token: signing in again in another tab changes it, and only a script notices.

Nothing that such a form asks for is done. Where words or a logout would be lost, its page is drawn again with a new
token.
"""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect

from feedback.pages import views as feedback

WORDS = "This page was open for too long, so nothing was sent. Please send it again."


def draw_again(request: HttpRequest) -> HttpResponseBase | None:
    """Returns the page that the form stands on, filled in; None for a form that has no such page."""
    name = request.resolver_match.view_name if request.resolver_match else ""
    draw = PAGES.get(name)
    return draw(request) if draw else None


def _logout(request: HttpRequest) -> HttpResponseBase:
    asking = reverse("logout")
    return HttpResponseClientRedirect(asking) if "HX-Request" in request.headers else redirect(asking)


def _entrance(request: HttpRequest) -> HttpResponseBase:
    """One of allauth's pages with the email that was typed; it keeps `next` by itself. Passwords are typed again."""
    assert request.resolver_match
    page = request.resolver_match.func.view_class  # type: ignore[attr-defined]
    typed = {name: request.POST[name] for name in ("login", "email") if name in request.POST}
    messages.warning(request, WORDS)
    # The view draws its form as for a visitor who just came.
    request.method = "GET"
    drawn: HttpResponseBase = page.as_view(initial=typed)(request)
    if drawn.status_code == 200:
        drawn.status_code = 403
    return drawn


def _report(request: HttpRequest) -> HttpResponseBase:
    assert request.resolver_match
    return feedback.draw_again(request, WORDS, **request.resolver_match.kwargs)


PAGES: dict[str, Callable[[HttpRequest], HttpResponseBase]] = {
    "logout": _logout,
    "account_logout": _logout,
    "admin:logout": _logout,
    "account_login": _entrance,
    "account_signup": _entrance,
    "account_request_login_code": _entrance,
    "account_reset_password": _entrance,
    "feedback:form": _report,
}
