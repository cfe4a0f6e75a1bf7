"""Pages that allauth doesn't have: logout, cancelling, reauthentication by email, disconnecting a provider."""

from __future__ import annotations

from allauth.account.utils import get_next_redirect_url
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

from sidekick.accounts import allauth_internals
from sidekick.accounts.sign_in.codes import PendingCode
from sidekick.accounts.sign_in.email_and_next import next_of, with_next
from sidekick.accounts.sign_in.forms import EmailedCodeForm
from sidekick.accounts.sign_in.reauthentication import (
    EmailedCode,
    needs_emailed_code,
    reauthenticated,
    redirect_to_reauthenticate,
)
from sidekick.web import rate_limits

from .decorators import signed_in


@require_http_methods(["GET", "HEAD", "POST"])
def logout(request: HttpRequest) -> HttpResponseBase:
    """End this device's session on the server and open the homepage, which may be another site (A5).

    Only a POST ends it; a GET asks, for a page whose CSRF token is too old.
    """
    if request.method != "POST" and request.user.is_authenticated:
        return render(request, "account/logout.html")
    if request.method == "POST":
        allauth_internals.logout(request)
    if "HX-Request" not in request.headers:
        return HttpResponseRedirect(settings.HOME_URL)
    # Pages of other tabs hear of it at once (`other_tabs.js`).
    return trigger_client_event(HttpResponseClientRedirect(settings.HOME_URL), "sidekick:signed-out")


@require_POST
def cancel_sign_in(request: HttpRequest) -> HttpResponseBase:
    """Forget the code, second factor or new password that is being waited for, and begin again from where it began."""
    wanted = next_of(request)
    allauth_internals.forget_pending(request)
    if request.user.is_authenticated:
        return redirect(wanted or "account:profile")
    return redirect(with_next(reverse("account_login"), wanted))


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def reauthenticate_by_email(request: HttpRequest) -> HttpResponseBase:
    """A code by email, for accounts that have neither a password nor a second factor to be asked for."""
    if not needs_emailed_code(request.user):
        return redirect_to_reauthenticate(request)
    process = EmailedCode.find(request)
    code = PendingCode(request, process) if process else None
    form = EmailedCodeForm(code="")
    sends = request.method == "POST" and request.POST.get("action") == "resend"
    if sends and code is None:
        if not rate_limits.allow(request, "reauthentication_code"):
            return rate_limits.refuse(request)
        EmailedCode.begin(request)
        return redirect(request.get_full_path())
    if sends and code and code.send_again():
        return redirect(request.get_full_path())
    if request.method == "POST" and not sends and process and code and not code.is_over:
        if not code.may_try():
            return rate_limits.refuse(request)
        form = EmailedCodeForm(request.POST, code=process.code)
        if form.is_valid():
            process.finish()
            return redirect(get_next_redirect_url(request) or settings.LOGIN_REDIRECT_URL)
        code.count_wrong(form)
    context = {"form": form, "code": code, "email": code.email if code else "", "refused": sends}
    return render(request, "account/reauthenticate_by_email.html", context)


@reauthenticated
@require_POST
def disconnect(request: HttpRequest, pk: int) -> HttpResponseBase:
    """End sign-in with Google or GitHub. The last one may go, too: an emailed code always signs in."""
    allauth_internals.disconnect(request, get_object_or_404(SocialAccount, pk=pk, user=request.user))
    return redirect("account:security")
