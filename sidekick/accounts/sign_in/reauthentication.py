"""Asking once more before something important: a browser that was left open must not be enough.

allauth asks for the password or the second factor, and asks nothing of an account that has neither. Such an account
proves itself with a code by email here, so that no account goes without.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.code_verification import AbstractCodeVerificationProcess
from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase

from sidekick.accounts.decorators import came_from, to_sign_in
from sidekick.accounts.models import User

STATE_KEY = "email_proof"
CODE_LIVES = 600
MOST_ATTEMPTS = 3


def proven(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Only for signed-in accounts that proved themselves a moment ago; others do so first and come back."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return to_sign_in(request)
        return view(request, *args, **kwargs) if is_fresh(request) else ask(request)

    return guarded


def is_fresh(request: HttpRequest) -> bool:
    """Whether this browser proved whose the account is, within `ACCOUNT_REAUTHENTICATION_TIMEOUT` seconds."""
    records = get_authentication_records(request, request.user)
    proofs = [record["at"] for record in records if record.get("reauthenticated")]
    return bool(proofs) and time.time() - max(proofs) < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def ask(request: HttpRequest) -> HttpResponseRedirect:
    """To the page that asks, and from there back to where they were."""
    first = get_adapter().get_reauthentication_methods(request.user)[0]
    return HttpResponseRedirect(f"{first['url']}?{urlencode({'next': came_from(request)})}")


def asks_by_email(user: User | AnonymousUser) -> bool:
    """Whether there is neither a password nor a second factor to ask for."""
    return user.is_authenticated and not get_reauthentication_flows(user)


class EmailProof(AbstractCodeVerificationProcess):  # type: ignore[misc]
    """A code that was sent to the account's own address, kept in the flow's session until it comes back."""

    def __init__(self, request: HttpRequest, state: dict[str, Any]) -> None:
        super().__init__(max_attempts=MOST_ATTEMPTS, timeout=CODE_LIVES, state=state, user=request.user)
        self.request = request

    @classmethod
    def begin(cls, request: HttpRequest) -> None:
        assert isinstance(request.user, User)
        process = cls(request, cls.initial_state(request.user, request.user.email))
        process.send()
        process.persist()

    @classmethod
    def resume(cls, request: HttpRequest) -> EmailProof | None:
        state = request.session.get(STATE_KEY)
        if not state or state.get("user_id") != cls.initial_state(request.user)["user_id"]:
            return None
        process: EmailProof | None = cls(request, state).abort_if_invalid()
        return process

    def send(self) -> None:
        adapter = get_adapter()
        self.state["code"] = adapter.generate_login_code()
        adapter.send_mail("account/email/proof_code", self.user.email, {"code": self.code, "user": self.user})

    def persist(self) -> None:
        self.request.session[STATE_KEY] = self.state

    def abort(self) -> None:
        self.request.session.pop(STATE_KEY, None)

    def finish(self) -> None:
        self.abort()
        record_authentication(self.request, self.user, "code", reauthenticated=True)
