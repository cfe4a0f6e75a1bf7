"""Asking again who someone is before an important change: a browser that was left open must not be enough.

allauth asks for the password or a second factor, and nothing of an account that has neither. Here such an account is
asked for a code that is emailed to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from sidekick.accounts import allauth_internals
from sidekick.accounts.decorators import redirect_to_sign_in, return_path
from sidekick.accounts.models import User
from sidekick.web.return_paths import path_here

BACK_KEY = "reauthentication_back"  # where Cancel leads
STATE_KEY = "email_proof"  # in the flow's session, where the release before this one looks for it too
CODE_SECONDS = 600
MOST_ATTEMPTS = 3


def reauthenticated(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Only for signed-in accounts that reauthenticated a moment ago; others do so first and come back."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_sign_in(request)
        return view(request, *args, **kwargs) if is_recent(request) else redirect_to_reauthenticate(request)

    return guarded


def is_recent(request: HttpRequest) -> bool:
    """Whether this account reauthenticated in this browser within `ACCOUNT_REAUTHENTICATION_TIMEOUT` seconds."""
    # allauth's own check says yes for every account that has neither a password nor a second factor.
    records = allauth_internals.authentication_records(request)
    times = [record["at"] for record in records if record.get("reauthenticated")]
    return bool(times) and time.time() - max(times) < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def redirect_to_reauthenticate(request: HttpRequest) -> HttpResponseRedirect:
    """To the page that asks, and from there back to where the visitor was."""
    request.session[BACK_KEY] = _page_before(request)
    first = get_adapter().get_reauthentication_methods(request.user)[0]
    return HttpResponseRedirect(f"{first['url']}?{urlencode({'next': return_path(request)})}")


def needs_emailed_code(user: User | AnonymousUser) -> bool:
    """Whether a signed-in account has neither a password nor a second factor to ask for."""
    return user.is_authenticated and not allauth_internals.can_reauthenticate(user)


def _page_before(request: HttpRequest) -> str:
    """The page with the link or form that led to a guarded one, without its query; "" where it is not known."""
    page = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    path = path_here(request, page).partition("?")[0]
    return "" if path.startswith(reverse("account_reauthenticate")) else path


class EmailedCode(allauth_internals.AbstractCodeVerificationProcess):
    """A code that was sent to the account's own address, kept in the flow's session until it is entered."""

    def __init__(self, request: HttpRequest, state: dict[str, Any]) -> None:
        super().__init__(max_attempts=MOST_ATTEMPTS, timeout=CODE_SECONDS, state=state, user=request.user)
        self.request = request

    @classmethod
    def begin(cls, request: HttpRequest) -> None:
        assert isinstance(request.user, User)
        process = cls(request, cls.initial_state(request.user, request.user.email))
        process.send()
        process.persist()

    @classmethod
    def find(cls, request: HttpRequest) -> EmailedCode | None:
        """Returns the code that this account was sent last in this browser, expired or not."""
        state = request.session.get(STATE_KEY)
        # A code that was sent to one account is worth nothing after another signed in here.
        if not state or state.get("user_id") != cls.initial_state(request.user)["user_id"]:
            return None
        return cls(request, state)

    def send(self) -> None:
        adapter = get_adapter()
        self.state["code"] = adapter.generate_login_code()
        context = {"code": self.code, "user": self.user}
        adapter.send_mail("account/email/reauthentication_code", self.user.email, context)

    def persist(self) -> None:
        self.request.session[STATE_KEY] = self.state

    def abort(self) -> None:
        self.request.session.pop(STATE_KEY, None)

    def finish(self) -> None:
        self.abort()
        allauth_internals.record_reauthentication(self.request, self.user, "code")
