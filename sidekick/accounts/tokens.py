"""The JWTs of a device session, and the cookies that carry them (A2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.http.response import HttpResponseBase
from jwt import ImmatureSignatureError, InvalidSignatureError
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenError
from rest_framework_simplejwt.tokens import Token

from sidekick.accounts.models import DeviceSession

ACCESS_COOKIE = settings.ACCESS_COOKIE
REFRESH_COOKIE = settings.REFRESH_COOKIE


class RotatingBackend(TokenBackend):
    """Signs with SECRET_KEY and still reads what a former one signed: changing the key logs nobody out."""

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        try:
            return dict(super().decode(token, verify))
        except TokenBackendError:
            for key in settings.SECRET_KEY_FALLBACKS:
                former = TokenBackend(self.algorithm, key, leeway=self.leeway)
                try:
                    return dict(former.decode(token, verify))
                except TokenBackendError as error:
                    if not isinstance(error.__cause__, InvalidSignatureError):
                        raise
            raise


BACKEND = RotatingBackend(str(settings.SIMPLE_JWT["ALGORITHM"]), settings.SECRET_KEY, leeway=settings.TOKEN_LEEWAY)
# Anything may stand in a cookie or a header, and the library raises most of these for one forgery or another.
UNREADABLE = (TokenError, TokenBackendError, KeyError, ValueError, TypeError, AttributeError, OverflowError)


class StrictToken(Token):
    _token_backend = BACKEND

    def check_exp(self, claim: str = "exp", current_time: datetime | None = None) -> None:
        # The library's leeway is for `exp` too.
        super().check_exp(claim, (current_time or self.current_time) + settings.TOKEN_LEEWAY)


class AccessToken(StrictToken):
    token_type = "access"  # noqa: S105
    lifetime = settings.ACCESS_TOKEN_LIFETIME


class RefreshToken(StrictToken):
    token_type = "refresh"  # noqa: S105
    lifetime = settings.SESSION_ABSOLUTE_LIMIT


class Claims(NamedTuple):
    sub: UUID  # the account
    sid: UUID  # the device session
    jti: UUID
    gen: UUID | None = None  # in an access token: the jti of the refresh token that came with it


@dataclass(frozen=True)
class TokenPair:
    access: str
    refresh: str
    session: DeviceSession

    @classmethod
    def for_session(cls, session: DeviceSession, jti: UUID, now: datetime) -> TokenPair:
        """Returns the refresh token of this jti with an access token of its own."""
        access, refresh = AccessToken(), RefreshToken()
        for token in (access, refresh):
            token["sub"], token["sid"] = str(session.user_id), str(session.id)
            token.set_iat(at_time=now)
        access["gen"] = refresh["jti"] = jti.hex
        access.set_exp(from_time=now, lifetime=min(settings.ACCESS_TOKEN_LIFETIME, session.expires_at - now))
        # Only the row knows the idle limit: a click after a poll moves it, and hands out no token.
        refresh.set_exp(from_time=session.over_at, lifetime=timedelta(0))
        return cls(str(access), str(refresh), session)


def read(kind: type[Token], token: str) -> Claims | None:
    """Returns the claims of a token that we signed and that hasn't expired, or None."""
    try:
        encoded: Any = token  # the library's annotation names the class instead of the text it takes
        claims = kind(encoded)
        gen = claims.get("gen")
        return Claims(UUID(claims["sub"]), UUID(claims["sid"]), UUID(claims["jti"]), UUID(gen) if gen else None)
    except UNREADABLE:
        return None


def are_in(cookies: dict[str, str]) -> bool:
    """Whether one of the two is there that we signed. Its session may have ended."""
    kinds: dict[str, type[Token]] = {ACCESS_COOKIE: AccessToken, REFRESH_COOKIE: RefreshToken}
    return any(read(kind, cookies[name]) for name, kind in kinds.items() if name in cookies)


def is_ahead(token: str) -> bool:
    """Whether we signed it, and it can't be read only because it was issued by a clock too far ahead of this one."""
    try:
        BACKEND.decode(token)
    except UNREADABLE as error:
        return isinstance(error.__cause__, ImmatureSignatureError)
    return False


def set_cookies(response: HttpResponseBase, pair: TokenPair, now: datetime) -> None:
    lifetimes = {
        ACCESS_COOKIE: (pair.access, settings.ACCESS_TOKEN_LIFETIME),
        REFRESH_COOKIE: (pair.refresh, pair.session.over_at - now),
    }
    for name, (value, lifetime) in lifetimes.items():
        response.set_cookie(
            name,
            value,
            max_age=int(lifetime.total_seconds()),
            path="/",
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )


def clear_cookies(response: HttpResponseBase) -> None:
    for name in (ACCESS_COOKIE, REFRESH_COOKIE):
        response.delete_cookie(name, path="/", samesite="Lax")
