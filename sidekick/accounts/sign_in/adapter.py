"""The project's answers to allauth: addresses, emails, time zones, ways to reauthenticate."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import available_timezones

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured, PermissionDenied, ValidationError
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from sidekick.accounts import emails, user_agents
from sidekick.accounts.models import User
from sidekick.email_addresses import is_same_mailbox, normalised
from sidekick.web.return_paths import leads_here

CODE_LIFETIME = timedelta(seconds=settings.ACCOUNT_LOGIN_BY_CODE_TIMEOUT)


class AccountAdapter(DefaultAccountAdapter):
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": "Incorrect email or password.",
    }

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Say what helps after too many wrong passwords; allauth's sentence is also that of too many wrong codes."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError as error:
            raise ValidationError("Wait 5 minutes, or use an emailed code.", code=error.code) from error

    def is_safe_url(self, url: str | None) -> bool:
        """Whether `next` stays on the very host that was asked, not on any allowed one."""
        return leads_here(context.request, url or "")

    def clean_email(self, email: str) -> str:
        """An address that a form has normalised, or a provider's: that must not become another mailbox here (A9)."""
        if not is_same_mailbox(email):
            raise ValidationError("Enter an email address like name@example.com.", code="invalid")
        return normalised(str(super().clean_email(email)))

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """Take over the browser's time zone, which the sign-up form sends along when it knows it (A10)."""
        zone = request.POST.get("time_zone", "")
        if zone in available_timezones():
            user.time_zone = zone
        super().save_user(request, user, form, commit=commit)
        return user

    def get_reauthentication_methods(self, user: User | AnonymousUser) -> list[dict[str, Any]]:
        """The ways to reauthenticate, the easiest first; an emailed code where there is no other."""
        words = {
            "reauthenticate": "Use your password",
            "mfa_reauthenticate:webauthn": "Use a passkey",
            "mfa_reauthenticate": "Use a code",
        }
        known = {method["id"]: method for method in super().get_reauthentication_methods(user)}
        methods = [{**known[name], "description": text} for name, text in words.items() if name in known]
        by_email = {"id": "email", "description": "Use a code by email", "url": reverse("reauthenticate_by_email")}
        return methods or ([by_email] if user.is_authenticated else [])

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("account:security")

    def send_account_already_exists_mail(self, email: str) -> None:
        """Email the account that exists already."""
        # Making an account would take as long: hashing a password is most of that (A9). A new code hashes none.
        if password := context.request.POST.get("password1"):
            make_password(password)
        super().send_account_already_exists_mail(email)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Write allauth's emails like all others."""
        # An address with an account and one without store one row and one job each, so that the response takes as
        # long (A9). Nobody can time the worker's part.
        known = {name: value for name, value in context.items() if name != "request"}
        if "user_agent" in known:
            known["browser"] = user_agents.in_words(known["user_agent"])
        expires_at = timezone.now() + CODE_LIFETIME if "code" in known else None
        account = known.get("user") or self._owner_of(email)
        emails.write(template_prefix, to=email, account=account, context=known, expires_at=expires_at)

    def _owner_of(self, email: str) -> User | None:
        """The account that an email belongs to: the one with this address, or else the one that is signed in."""
        user = getattr(context.request, "user", None)
        return User.objects.filter(email=email).first() or (user if isinstance(user, User) else None)

    def get_client_ip(self, request: HttpRequest) -> str:
        """Returns the visitor's address as the trusted proxies report it, or "" when there is none."""
        # A request that came past the proxies counts by the address it came from, and is no server error.
        try:
            ip = str(super().get_client_ip(request))
        except (ImproperlyConfigured, PermissionDenied):
            ip = request.META.get("REMOTE_ADDR", "")
        return ip.partition("%")[0]
