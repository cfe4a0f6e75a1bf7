"""Pages that allauth doesn't have: logout, reauthentication by email, disconnecting a provider."""

from __future__ import annotations

from allauth.account.forms import ConfirmLoginCodeForm
from allauth.account.utils import get_next_redirect_url
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from sidekick.accounts import allauth_internals
from sidekick.accounts.sign_in.reauthentication import (
    EmailedCode,
    needs_emailed_code,
    reauthenticated,
    redirect_to_reauthenticate,
)
from sidekick.web import rate_limits

from .decorators import signed_in


@require_POST
def logout(request: HttpRequest) -> HttpResponseBase:
    """End this device's session on the server and open the homepage, which may be another site (A5)."""
    allauth_internals.logout(request)
    redirection = HttpResponseClientRedirect if "HX-Request" in request.headers else HttpResponseRedirect
    return redirection(settings.HOME_URL)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def reauthenticate_by_email(request: HttpRequest) -> HttpResponseBase:
    """A code by email, for accounts that have neither a password nor a second factor to be asked for."""
    if not needs_emailed_code(request.user):
        return redirect_to_reauthenticate(request)
    process = EmailedCode.resume(request)
    form = ConfirmLoginCodeForm(code=process.code if process else None)
    if request.method == "POST" and "send" in request.POST:
        if not rate_limits.allow(request, "reauthentication_code"):
            return rate_limits.refuse(request)
        EmailedCode.begin(request)
        return redirect(request.get_full_path())
    if request.method == "POST" and process:
        form = ConfirmLoginCodeForm(request.POST, code=process.code)
        if form.is_valid():
            process.finish()
            return redirect(get_next_redirect_url(request) or settings.LOGIN_REDIRECT_URL)
        if not process.record_invalid_attempt():
            process = None
    return render(request, "account/reauthenticate_by_email.html", {"form": form, "sent": process is not None})


@reauthenticated
@require_POST
def disconnect(request: HttpRequest, pk: int) -> HttpResponseBase:
    """End sign-in with Google or GitHub. The last one may go, too: an emailed code always signs in."""
    allauth_internals.disconnect(request, get_object_or_404(SocialAccount, pk=pk, user=request.user))
    return redirect("account:security")
