"""Refuses what was sent from a page of another account than the one that is signed in now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django_htmx.http import HttpResponseClientRedirect

from sidekick.accounts.decorators import return_path
from sidekick.accounts.stamps.stamp import HEADER, is_others, sent_stamp, stamp_of
from sidekick.web.return_paths import path_here


class AccountStampMiddleware:
    """Leads to the page anew, with a sentence, before any view runs.

    It stands before the CSRF check: to sign in changes the token too, and the sentence helps more than "too old".
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if hasattr(request, "script_of_account"):
            # Tells the script whether its page is still right.
            response.headers[HEADER] = stamp_of(request.user)
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        # Programs and links in emails carry no page's stamp, and their bodies are theirs to read.
        if getattr(view, "csrf_exempt", False):
            return None
        if HEADER in request.headers:
            request.script_of_account = True  # type: ignore[attr-defined]
        # A visitor's body is not read here: the CSRF check may refuse it unread.
        if request.method == "POST" and HEADER not in request.headers and not request.user.is_authenticated:
            return None
        if not is_others(sent_stamp(request), request.user):
            return None
        return _lead_back(request)


def _lead_back(request: HttpRequest) -> HttpResponseBase:
    words = f"You are signed in as {request.user.email} now. Nothing was changed."  # type: ignore[union-attr]
    if "HX-Request" in request.headers:
        # The words go to this very tab: a message in a cookie would be shown by the tab that loads first.
        response: HttpResponseBase = HttpResponseClientRedirect(return_path(request), content=words)
        response.headers["Content-Type"] = "text/plain; charset=utf-8"
        return response
    if not _signs_in_again(request):
        messages.warning(request, words)
    response = HttpResponseRedirect(_next(request))
    response.status_code = 303
    return response


def _signs_in_again(request: HttpRequest) -> bool:
    """Whether this is a sign-in page, open since before another tab signed in to the same account."""
    typed = request.POST.get("login", "").strip()
    return bool(typed) and typed.casefold() == request.user.email.casefold()  # type: ignore[union-attr]


def _next(request: HttpRequest) -> str:
    """The page that the form leads to by itself, or the one it stands on."""
    return path_here(request, request.POST.get("next", "")) or return_path(request)
