"""What allauth asks the project about accounts."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

from .models import User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def is_safe_url(self, url: str | None) -> bool:
        """Whether `next` stays on the very host that was asked, not on any allowed one."""
        request = context.request
        return url_has_allowed_host_and_scheme(
            url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
        )

    def clean_email(self, email: str) -> str:
        return str(super().clean_email(email)).lower()

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """Take over the browser's time zone, which the sign-up form sends along when it knows it (A10)."""
        zone = request.POST.get("time_zone", "")
        if zone in available_timezones():
            user.time_zone = zone
        super().save_user(request, user, form, commit=commit)
        return user

    def send_account_already_exists_mail(self, email: str) -> None:
        """Take as long as making an account would: hashing a password is most of that (A9)."""
        make_password(context.request.POST.get("password1", ""))
        super().send_account_already_exists_mail(email)

    def get_client_ip(self, request: HttpRequest) -> str:
        """The visitor's address as the trusted proxies report it, or "" when there is none.

        A request that came past the proxies counts by the address it came from, and is no server error.
        """
        try:
            ip = str(super().get_client_ip(request))
        except (ImproperlyConfigured, PermissionDenied):
            ip = request.META.get("REMOTE_ADDR", "")
        return ip.partition("%")[0]
