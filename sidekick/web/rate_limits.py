"""Rate limits of pages and sign-in, by allauth's limiter; settings.ACCOUNT_RATE_LIMITS has the numbers.

The API counts in `accounts.api.throttling`, reports an hour in `feedback.submission`.
"""

from __future__ import annotations

from allauth.core.internal import ratelimit
from django.conf import settings
from django.http import HttpRequest, HttpResponse


def allow(request: HttpRequest, action: str, *, key: str | None = None) -> bool:
    """Count one try. Returns whether it may go on.

    `action` names a limit of settings.ACCOUNT_RATE_LIMITS: per IP address, per signed-in account, per `key`. Raises
    `KeyError` for a name that has none.
    """
    limits: dict[str, str] | bool = settings.ACCOUNT_RATE_LIMITS
    # allauth takes an unknown name for no limit at all. False in the place of the table switches limits off.
    if isinstance(limits, dict) and action not in limits:
        raise KeyError(action)
    # allauth's public function counts no GET, and a download or a link to an invoice is one.
    return bool(ratelimit.consume(request, app="allauth.account", action=action, key=key, limit_get=True))


def refuse(request: HttpRequest) -> HttpResponse:
    """The page that answers 429 (`handler429`)."""
    response: HttpResponse = ratelimit.respond_429(request)
    return response
