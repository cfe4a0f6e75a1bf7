"""Kept from page to page while somebody signs in: the email they typed, and the page that they want.

The email stays in the flow's session, which ends with the sign-in: no address, and so no log, has it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from allauth.account.utils import get_next_redirect_url
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from sidekick.accounts import allauth_internals

EMAIL_KEY = "typed_email"


def typed_email(request: HttpRequest) -> str:
    return str(request.session.get(EMAIL_KEY, ""))


def carry_email(request: HttpRequest, email: str) -> None:
    if email != typed_email(request):
        request.session[EMAIL_KEY] = email


def next_of(request: HttpRequest) -> str:
    """Returns the page to go on to, on this site, or "": that of the request, or else of the sign-in it belongs to."""
    login = None if request.user.is_authenticated else allauth_internals.pending_sign_in(request)
    return get_next_redirect_url(request) or (login.redirect_url if login else "") or ""


def with_next(path: str, wanted: str) -> str:
    return f"{path}?{urlencode({'next': wanted})}" if wanted else path


def keeps_next(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Every redirect from one page of signing in to another keeps the page that was asked for.

    A sign-in that waits for a code goes on to the page asked for last, also where another tab asked for it.
    """

    @wraps(view)
    def kept(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        wanted = next_of(request)
        login = None if request.user.is_authenticated else allauth_internals.pending_sign_in(request)
        if login and wanted != (login.redirect_url or ""):
            login.redirect_url = wanted
            allauth_internals.keep_sign_in(request, login)
        response = view(request, *args, **kwargs)
        if isinstance(response, HttpResponseRedirect) and wanted and _is_entrance(response.url):
            response["Location"] = with_next(response.url, wanted)
        return response

    return kept


def _is_entrance(url: str) -> bool:
    parts = urlsplit(url)
    inside = parts.path.startswith(reverse("account_login").removesuffix("login/"))
    return inside and not parts.netloc and "next" not in parse_qs(parts.query)
