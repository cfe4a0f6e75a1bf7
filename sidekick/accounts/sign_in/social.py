"""Sign-in with Google or GitHub (A1).

A provider's account opens the account it is connected to. It never opens another by its email: the owner of an account
with that address signs in to it and connects the provider there. It makes a new account only with an address that the
provider has verified, or anyone could wait in an account of somebody else's address until its owner comes.
"""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

import requests
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.base import AuthError, AuthProcess, Provider
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from sidekick.accounts.models import User
from sidekick.accounts.sign_in import email_and_next, reauthentication
from sidekick.email_addresses import is_same_mailbox, normalised
from sidekick.serving.shares import EXTERNAL_SERVICES
from sidekick.text import trimmed


class SocialAdapter(DefaultSocialAccountAdapter):
    def get_app(self, request: HttpRequest, provider: str, client_id: str | None = None) -> SocialApp:
        """The keys of a provider. One that has none in the settings has no pages either."""
        try:
            return super().get_app(request, provider, client_id)
        except SocialApp.DoesNotExist as error:
            raise Http404 from error

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """Returns the providers of the settings only: rows of the database would be a second place to name them."""
        return [app for app in super().list_apps(request, provider, client_id) if app.pk is None]

    def get_requests_session(self) -> requests.Session:
        """Returns a session that waits for a provider in few threads; allauth shows its page for other faults."""
        session: requests.Session = super().get_requests_session()
        send = session.request

        def request(*args: Any, **kwargs: Any) -> requests.Response:
            with EXTERNAL_SERVICES.place() as taken:
                if not taken:
                    raise requests.ConnectionError("Too many pages wait for other companies.")
                return send(*args, **kwargs)

        session.request = request  # type: ignore[method-assign]
        return session

    def generate_state_param(self, state: dict[str, Any]) -> str:
        """Note the browser's time zone in the state that comes back with the visitor (A10)."""
        # Every visit to a provider begins here, so this is where connecting one asks for reauthentication.
        connects = state.get("process") == AuthProcess.CONNECT and self.request.user.is_authenticated
        if connects and not reauthentication.is_recent(self.request):
            raise ImmediateHttpResponse(reauthentication.redirect_to_reauthenticate(self.request))
        state["time_zone"] = self.request.POST.get("time_zone", "")
        return str(super().generate_state_param(state))

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Provider,
        error: str | None = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        """Keep the page that was asked for: signing in another way leads on to it."""
        wanted = ((extra_context or {}).get("state") or {}).get("next", "")
        if error == AuthError.CANCELLED and wanted:
            page = email_and_next.with_next(reverse("socialaccount_login_cancelled"), wanted)
            raise ImmediateHttpResponse(HttpResponseRedirect(page))

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        if sociallogin.state.get("process") != AuthProcess.CONNECT and not sociallogin.is_existing:
            self._begin_account(request, sociallogin)

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]) -> User:
        user: User = super().populate_user(request, sociallogin, data)
        parts = (data.get("name") or "", data.get("first_name") or "", data.get("last_name") or "")
        user.name = trimmed(parts[0] or f"{parts[1]} {parts[2]}")[:150]
        return user

    def _begin_account(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Let a new account begin with one verified address, or say why it can't."""
        # The provider verified the address as it spells it: where ours means another mailbox, nobody verified that.
        # allauth has put it into lower case by then, which makes a k of a Kelvin sign.
        told = str(sociallogin.account.extra_data.get("email") or "")
        strange = bool(told) and not is_same_mailbox(told)
        verified = [address for address in sociallogin.email_addresses if address.verified and not strange]
        verified.sort(key=lambda address: not address.primary)
        if not verified:
            _refuse(request, sociallogin, "socialaccount/email_unverified.html")
        email = normalised(verified[0].email)
        taken = EmailAddress.objects.filter(email__iexact=email).exists() or User.objects.filter(email=email).exists()
        if taken:
            email_and_next.carry_email(request, email)
            _refuse(request, sociallogin, "socialaccount/email_taken.html")
        sociallogin.user.email = email
        zone = sociallogin.state.get("time_zone", "")
        sociallogin.user.time_zone = zone if zone in available_timezones() else "UTC"
        sociallogin.email_addresses = [EmailAddress(email=email, verified=True, primary=True)]


def _refuse(request: HttpRequest, sociallogin: SocialLogin, template: str) -> None:
    """Say why no account begins. The provider has verified the address, so it is safe to say that it has one here."""
    context = {"provider": sociallogin.provider, "next": sociallogin.state.get("next", "")}
    raise ImmediateHttpResponse(render(request, template, context, status=409))
