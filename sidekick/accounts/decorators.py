"""Pages that need a signed-in account, and the way to the sign-in page and back (N1, A3)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django_htmx.http import HttpResponseClientRedirect

from sidekick.accounts import tokens
from sidekick.serving.bodies import takes_body
from sidekick.web.return_paths import path_here


def signed_in(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Only for signed-in accounts; anyone else signs in and comes back to where they were."""

    @takes_body(cookies=tokens.are_in)
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        return redirect_to_sign_in(request)

    return guarded


def redirect_to_sign_in(request: HttpRequest) -> HttpResponseBase:
    """To the sign-in page, and back from there to the page that the visitor is on."""
    url = f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': return_path(request)})}"
    # htmx has to load the page: a swap would put it inside another. But it restores history with a request that
    # follows redirects and reads no headers.
    if "HX-Request" in request.headers and "HX-History-Restore-Request" not in request.headers:
        return HttpResponseClientRedirect(url)
    return HttpResponseRedirect(url)


def return_path(request: HttpRequest) -> str:
    """The page to return to after signing in: never another site's, never one that only takes a POST."""
    shown = request.headers.get("HX-Current-URL", "")
    asked = path_here(request, request.get_full_path()) if request.method in {"GET", "HEAD"} else ""
    if asked and not shown:
        return asked
    return path_here(request, shown or request.headers.get("Referer", "")) or asked or "/dashboard"
