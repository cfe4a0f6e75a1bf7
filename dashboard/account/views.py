"""The account page: profile, security, sessions, and one's own data (A1, A7, A10)."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import get_adapter as get_social_adapter
from allauth.socialaccount.models import SocialAccount
from django.contrib import messages
from django.http import FileResponse, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from billing.paddle.api import PaddleFault
from dashboard.account import data_export, deletion
from dashboard.account.forms import DeletionForm, ProfileForm, zones
from sidekick.accounts import allauth_internals, user_agents
from sidekick.accounts.decorators import signed_in
from sidekick.accounts.http import Request
from sidekick.accounts.models import DeviceSession
from sidekick.accounts.sign_in import reauthentication
from sidekick.accounts.sign_in.reauthentication import reauthenticated
from sidekick.web import rate_limits
from sidekick.web.rendering import render_page


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: Request) -> HttpResponse:
    form = ProfileForm(request.POST if request.method == "POST" else None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Your profile is saved.")
        return redirect("account:profile")
    context = {"title": "Account", "view": "profile", "form": form, "zones": zones()}
    return render_page(request, "dashboard/account/profile.html", context, status=422 if form.errors else 200)


@signed_in
@require_safe
def security(request: Request) -> HttpResponse:
    """All ways to sign in, and the second factors (A1)."""
    factors = Authenticator.objects.filter(user=request.user).order_by("created_at", "pk")
    # An account has many passkeys, but at most one authenticator app and one set of recovery codes.
    by_type = {factor.type: factor for factor in factors}
    codes = by_type.get(Authenticator.Type.RECOVERY_CODES)
    connected = {account.provider: account for account in SocialAccount.objects.filter(user=request.user)}
    providers = get_social_adapter().list_providers(request)
    context = {
        "title": "Security",
        "view": "security",
        "passkeys": [key for key in factors if key.type == Authenticator.Type.WEBAUTHN],
        "totp": by_type.get(Authenticator.Type.TOTP),
        "codes_left": len(codes.wrap().get_unused_codes()) if codes else None,
        "connections": [(provider, connected.get(provider.id)) for provider in providers],
    }
    return render_page(request, "dashboard/account/security.html", context)


@signed_in
@require_safe
def sessions(request: Request) -> HttpResponse:
    """The devices that are signed in now, with this one first (A7)."""
    here = request.device_session
    live = sorted(request.user.device_sessions.live(), key=lambda session: session != here)
    rows = [(session, user_agents.in_words(session.user_agent), session == here) for session in live]
    context = {"title": "Sessions", "view": "sessions", "rows": rows}
    return render_page(request, "dashboard/account/sessions.html", context)


@signed_in
@require_POST
def end_session(request: Request, session_id: str) -> HttpResponse:
    session = get_object_or_404(request.user.device_sessions.live(), id=session_id)
    if session == request.device_session:
        allauth_internals.logout(request)
        return redirect("account_login")
    request.user.device_sessions.filter(id=session.id).end(DeviceSession.Ended.BY_CUSTOMER)
    messages.success(request, "That device is logged out.")
    return redirect("account:sessions")


@signed_in
@require_POST
def end_other_sessions(request: Request) -> HttpResponse:
    others = request.user.device_sessions.live()
    if request.device_session:
        others = others.exclude(id=request.device_session.id)
    ended = others.end(DeviceSession.Ended.BY_CUSTOMER)
    messages.success(request, f"{ended} other device{' is' if ended == 1 else 's are'} logged out.")
    return redirect("account:sessions")


@signed_in
@require_safe
def data(request: Request) -> HttpResponse:
    context = {"title": "Your data", "view": "data", "reauthenticated": reauthentication.is_recent(request)}
    return render_page(request, "dashboard/account/data.html", context)


@reauthenticated
@require_POST
def download(request: Request) -> HttpResponse | FileResponse:
    """Everything we hold about the account, as one JSON file (A10)."""
    if not rate_limits.allow(request, "download_my_data"):
        return rate_limits.refuse(request)
    name = f"sidekick-{timezone.now():%Y-%m-%d}.json"
    return FileResponse(data_export.write(request.user), as_attachment=True, filename=name)


@reauthenticated
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: Request) -> HttpResponse:
    """Says what is lost, erased and kept, then deletes the account (A10)."""
    form = DeletionForm(request.user, request.POST if request.method == "POST" else None)
    refusal = deletion.reason_against(request.user)
    if request.method == "POST" and not refusal and form.is_valid():
        try:
            deletion.delete_account(request.user)
        except PaddleFault as fault:
            refusal = f"{fault} Nothing was deleted."
        else:
            allauth_internals.logout(request)
            return redirect("account:deleted")
    context = {
        "title": "Delete account",
        "form": form,
        "refusal": refusal,
        "consequences": deletion.consequences(request.user),
    }
    status = 409 if refusal and form.is_bound else 422 if form.errors else 200
    return render_page(request, "dashboard/account/delete.html", context, status=status)


@require_safe
def deleted(request: Request) -> HttpResponse:
    return render_page(request, "dashboard/account/deleted.html", {"title": "Account deleted"})
