"""Says why a request's body was not read: 413, 408, or the way to sign in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from dashboard import errors
from sidekick.accounts.decorators import redirect_to_sign_in
from sidekick.serving import bodies


class UnreadBodyMiddleware:
    """Refuses a request whose body the front did not read, before anything takes it for an empty one.

    It stands before the middleware that looks for a CSRF token in the body.
    """

    STATUS = {bodies.TOO_LARGE: 413, bodies.TOO_SLOW: 408}

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: object, *_: Any) -> HttpResponseBase | None:
        why = request.META.get(bodies.UNREAD)
        if why == bodies.SIGNED_OUT:
            return redirect_to_sign_in(request)
        # A view refuses by itself what its terms rule out.
        return errors.refuse(request, self.STATUS[why]) if why in self.STATUS else None
