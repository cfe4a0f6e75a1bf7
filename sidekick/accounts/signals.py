"""Django and allauth tell us who came and went; the tokens follow."""

from __future__ import annotations

from typing import Any

from allauth.account import signals as account
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from .middleware import Identity
from .models import DeviceSession, User


@receiver(user_logged_in)
def issue_tokens(request: HttpRequest | None, user: User, **kwargs: Any) -> None:
    # Django's test client signs in with a bare request, which no middleware has seen.
    identity: Identity | None = getattr(request, "identity", None)
    if identity:
        identity.sign_in(user)


@receiver(user_logged_out)
def end_session(request: HttpRequest, **kwargs: Any) -> None:
    identity: Identity | None = getattr(request, "identity", None)
    if identity:
        identity.sign_out()


@receiver([account.password_changed, account.password_set, account.password_reset])
def end_other_sessions(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Whoever knew the old password is out; the browser that chose the new one stays (A7)."""
    identity: Identity | None = getattr(request, "identity", None)
    others = user.device_sessions.all()
    if identity and identity.session:
        others = others.exclude(id=identity.session.id)
    others.end(DeviceSession.Ended.PASSWORD_CHANGED)
