"""The request as the views see it; for annotations."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from sidekick.accounts.models import DeviceSession, User


class Request(HttpRequest):
    """A request after the middleware, of an account that is signed in: a decorator guards the view."""

    htmx: HtmxDetails
    user: User
    device_session: DeviceSession | None
