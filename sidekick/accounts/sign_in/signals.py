"""Signals of Django and allauth start and end device sessions."""

from __future__ import annotations

from typing import Any

from allauth.account import signals as account
from allauth.account.models import EmailAddress
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from sidekick.accounts.allauth_internals import is_verifying_email
from sidekick.accounts.middleware import Identity
from sidekick.accounts.models import DeviceSession, User


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
    """A new password ends every session but that of the browser that chose it (A7)."""
    identity: Identity | None = getattr(request, "identity", None)
    others = user.device_sessions.all()
    if identity and identity.session:
        others = others.exclude(id=identity.session.id)
    others.end(DeviceSession.Ended.PASSWORD_CHANGED)


@receiver(account.email_confirmed)
def forget_unverified_password(request: HttpRequest, email_address: EmailAddress, **kwargs: Any) -> None:
    """Drop the password of a new account whose address another browser verifies.

    Anyone can sign up with another's address and wait, with a password of their own, until its owner comes. The owner
    verifies the address by a sign-in or reset code, in a browser that neither signed up nor knew that password, and
    gets the account without it.
    """
    user = email_address.user
    same_browser = is_verifying_email(request, user)
    others = EmailAddress.objects.filter(user=user, verified=True).exclude(id=email_address.id)
    # An account with another verified address is not new, and keeps its password.
    if same_browser or request.user == user or others.exists():
        return
    user.set_unusable_password()
    user.save(update_fields=["password"])
    user.device_sessions.end(DeviceSession.Ended.PASSWORD_CHANGED)
