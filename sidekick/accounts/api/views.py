"""Sign-in for API clients such as the desktop app: the same device sessions, as bearer tokens (A8)."""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from allauth.account.utils import has_verified_email
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from sidekick.accounts import device_sessions, known_devices, tokens
from sidekick.accounts.api.authentication import CHALLENGE
from sidekick.accounts.api.schemas import Credentials, Refresh, refreshes, signs_in, signs_out
from sidekick.accounts.models import DeviceSession, User
from sidekick.api.problems import Problem
from sidekick.web import rate_limits

# Long enough for every window in ACCOUNT_RATE_LIMITS that these views use.
RETRY_AFTER = 300


@signs_in
@api_view(["POST"])
@authentication_classes([])
@permission_classes([AllowAny])
def token(request: Request) -> Response:
    """Sign in. Every reason to refuse looks the same, so that nobody learns which addresses have accounts."""
    form = Credentials(data=request.data)
    form.is_valid(raise_exception=True)
    email = form.validated_data["email"]
    _limit(request._request, "api_token", key=email)
    user = _authenticate(request._request, email, form.validated_data["password"])
    if is_mfa_enabled(user, [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]):
        _check_second_factor(user, form.validated_data.get("code", ""))
    with transaction.atomic():
        pair = device_sessions.start(user, **device_sessions.device_of(request._request))
        known_devices.tell_if_new(pair.session, request._request)
    return _answer(pair)


@refreshes
@api_view(["POST"])
@authentication_classes([])
@permission_classes([AllowAny])
def refresh(request: Request) -> Response:
    """Spend a refresh token for the next pair.

    After a lost answer send the same token again, once: within 30 seconds, or within ten minutes if the
    pair it was refreshed for was never used, it gets one more pair. Keep the newest pair and forget the
    other, for only one of the two goes on. Sent a third time within 30 seconds it is refused as
    `refresh_token_spent`, and the session goes on. Any later use of a spent token, or of the pair that
    was forgotten, is `invalid_token` and ends the session, for it was copied.
    """
    form = Refresh(data=request.data)
    form.is_valid(raise_exception=True)
    _limit(request._request, "api_refresh")
    device = device_sessions.device_of(request._request)
    refreshed = device_sessions.rotate(form.validated_data["refresh"], now=timezone.now(), **device)
    if refreshed is None:
        raise Problem(401, "invalid_token", "The refresh token is not valid, or its session ended.", headers=CHALLENGE)
    if refreshed.pair is None:
        detail = "Use the newest pair that this token was refreshed for."
        raise Problem(401, "refresh_token_spent", detail, headers=CHALLENGE)
    return _answer(refreshed.pair)


@signs_out
@api_view(["POST"])
@authentication_classes([])
@permission_classes([AllowAny])
def logout(request: Request) -> Response:
    """End the session a refresh token belongs to. A token that speaks for none is answered the same."""
    form = Refresh(data=request.data)
    form.is_valid(raise_exception=True)
    claims = tokens.read(tokens.RefreshToken, form.validated_data["refresh"])
    if claims:
        DeviceSession.objects.filter(id=claims.sid).end(DeviceSession.Ended.SIGNED_OUT)
    return Response(status=204)


def _authenticate(request: HttpRequest, email: str, password: str) -> User:
    """The account, as the sign-in page would find it: failures count against the same limit there and here."""
    try:
        user: User | None = get_adapter().authenticate(request, email=email, password=password)
    except ValidationError as error:
        raise _too_many() from error
    if user is None or not user.is_active or not has_verified_email(user, email):
        raise Problem(401, "invalid_credentials", "The email or the password is not right.", headers=CHALLENGE)
    return user


def _check_second_factor(user: User, code: str) -> None:
    form = AuthenticateForm(user=user, data={"code": code})
    if code and form.is_valid():
        form.authenticator.record_usage()
    elif code and form.has_error("code", "too_many_login_attempts"):
        raise _too_many()
    else:
        detail = "The code is not right." if code else "This account has a second factor: send its code as well."
        raise Problem(401, "second_factor_required", detail, headers=CHALLENGE)


def _limit(request: HttpRequest, action: str, key: str | None = None) -> None:
    if not rate_limits.allow(request, action, key=key):
        raise _too_many()


def _too_many() -> Problem:
    return Problem(
        429, "throttled", "Too many attempts. Try again in a few minutes.", headers={"Retry-After": str(RETRY_AFTER)}
    )


def _answer(pair: tokens.TokenPair) -> Response:
    return Response({"access": pair.access, "refresh": pair.refresh}, headers={"Cache-Control": "no-store"})
