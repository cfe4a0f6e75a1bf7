"""How often one person may do something that costs much: allauth's limiter, for the whole project."""

from __future__ import annotations

from allauth.core.internal import ratelimit
from django.conf import settings
from django.http import HttpRequest, HttpResponse


def allow(request: HttpRequest, action: str, *, key: str | None = None) -> bool:
    """Count one try, and say whether it may go on.

    `action` names a limit of settings.ACCOUNT_RATE_LIMITS: per IP address, per signed-in account, per `key`. Raises
    `KeyError` for a name that has none.
    """
    # allauth takes an unknown name for no limit at all.
    if action not in settings.ACCOUNT_RATE_LIMITS:
        raise KeyError(action)
    # allauth's public function counts no GET, and a download or a link to an invoice is one.
    return bool(ratelimit.consume(request, app="allauth.account", action=action, key=key, limit_get=True))


def refuse(request: HttpRequest) -> HttpResponse:
    """The page that answers 429 (`handler429`)."""
    response: HttpResponse = ratelimit.respond_429(request)
    return response
