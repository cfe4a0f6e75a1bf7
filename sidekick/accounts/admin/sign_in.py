"""The admin's own sign-in, and by which means accounts sign in."""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib import admin
from django.http import HttpRequest, HttpResponseRedirect
from django.shortcuts import redirect

from sidekick.admin.base import ReadOnlyAdmin


def _change_password(request: HttpRequest, extra_context: object = None) -> HttpResponseRedirect:
    return redirect("account_change_password")


# Rate limits, second factors and ending other sessions hold only where allauth does the work.
site: Any = admin.site
site.login = secure_admin_login(site.login)
site.password_change = _change_password


@admin.register(EmailAddress)
class EmailAddressAdmin(ReadOnlyAdmin):
    title = "Email addresses"
    list_display = ["email", "user", "primary", "verified"]
    list_filter = ["primary", "verified"]
    list_select_related = ["user"]
    search_fields = ["email", "user__email"]
    id_fields = ["user_id"]


@admin.register(SocialAccount)
class SocialAccountAdmin(ReadOnlyAdmin):
    """Accounts that sign in with Google or GitHub; the provider's data about the person stays out."""

    title = "Google and GitHub sign-ins"
    list_display = ["user", "provider", "uid", "date_joined", "last_login"]
    list_filter = ["provider"]
    list_select_related = ["user"]
    search_fields = ["user__email", "=uid"]
    id_fields = ["user_id"]
    fields = ["user", "provider", "uid", "date_joined", "last_login"]


@admin.register(Authenticator)
class AuthenticatorAdmin(ReadOnlyAdmin):
    """Second factors of accounts, without their secrets."""

    title = "Second factors"
    list_display = ["user", "type", "created_at", "last_used_at"]
    list_filter = ["type"]
    list_select_related = ["user"]
    search_fields = ["user__email"]
    id_fields = ["user_id"]
    fields = ["user", "type", "created_at", "last_used_at"]
