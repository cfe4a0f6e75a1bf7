"""The request as the views see it, and whether a person made it."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from sidekick.accounts.models import DeviceSession, User

POLL_HEADER = "Sidekick-Poll"


class Request(HttpRequest):
    """A request after the middleware, of an account that is signed in: a decorator guards the view."""

    htmx: HtmxDetails
    user: User
    device_session: DeviceSession | None


def is_poll(request: HttpRequest) -> bool:
    """Whether a script only looks (A6). A script that acts prolongs the session as a person does."""
    return POLL_HEADER in request.headers and request.method in {"GET", "HEAD"}
