"""Shared by all views of Billing: acting, refusing, showing a page, and leading away from it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRedirect

from billing.paddle.api import PaddleFault
from billing.refusals import ActionRefused, TooManyRequests
from sidekick.accounts.http import Request
from sidekick.web import rate_limits
from sidekick.web.rendering import render_page

Problem = ActionRefused | PaddleFault


def posted(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Act on a POST only; a GET leads back to Billing."""
    acting = require_POST(view)

    @wraps(view)
    def act(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        # A refused form leaves its address in the browser, where a reload or a bookmark asks for it again.
        return redirect("billing:overview") if request.method in {"GET", "HEAD"} else acting(request, *args, **kwargs)

    return act


def check_rate(request: Request, action: str) -> None:
    """Count one try of `checkout` or `paddle`. Raises `TooManyRequests`."""
    if not rate_limits.allow(request, action):
        raise TooManyRequests("That was a lot at once. Wait a minute, then try again.")


def show(
    request: Request,
    view: str,
    context: dict[str, Any],
    problem: Problem | None = None,
    *,
    fragment: str = "",
    status: int = 200,
) -> HttpResponse:
    """The page of a view, or its fragment. A problem stands above it, and in the status of a full page load."""
    return render_page(
        request,
        f"billing/{view}.html",
        context | {"problem": str(problem) if problem else ""},
        fragment=fragment or f"billing/_{view}.html",
        status=_status_of(problem) if problem else status,
        retry_after=problem.retry_after if isinstance(problem, PaddleFault) else None,
    )


def leave(request: Request, url: str) -> HttpResponse:
    """Lead to an address that has to be loaded whole: another site's, or the pay page."""
    # htmx would follow a redirect itself and swap the answer in.
    if "HX-Request" in request.headers:
        return HttpResponseClientRedirect(url)
    return _SeeOther(url)


def _status_of(problem: Problem) -> int:
    if isinstance(problem, TooManyRequests):
        return 429
    return 409 if isinstance(problem, ActionRefused) else 503


class _SeeOther(HttpResponseRedirect):
    # After a POST, 303 makes every client ask for the address with a GET.
    status_code = 303
