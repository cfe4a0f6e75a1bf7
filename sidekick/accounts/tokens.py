"""The JWTs of a device session: starting one, refreshing it, noticing a stolen refresh token (A2, A4–A6)."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple, TypedDict
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection
from django.db.models import Exists, Model, OuterRef
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenError
from rest_framework_simplejwt.tokens import Token

from sidekick.accounts.sign_in.adapter import AccountAdapter

from .models import DeviceSession, User

ACCESS_COOKIE = settings.ACCESS_COOKIE
REFRESH_COOKIE = settings.REFRESH_COOKIE

logger = logging.getLogger(__name__)


class RotatingBackend(TokenBackend):
    """Signs with SECRET_KEY and still reads what a former one signed: changing the key signs nobody out."""

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        try:
            return dict(super().decode(token, verify))
        except TokenBackendError:
            formers = [TokenBackend(self.algorithm, key) for key in settings.SECRET_KEY_FALLBACKS]
            for former in formers:
                with suppress(TokenBackendError):
                    return dict(former.decode(token, verify))
            raise


BACKEND = RotatingBackend(str(settings.SIMPLE_JWT["ALGORITHM"]), settings.SECRET_KEY)


class AccessToken(Token):
    _token_backend = BACKEND
    token_type = "access"  # noqa: S105
    lifetime = settings.ACCESS_TOKEN_LIFETIME


class RefreshToken(Token):
    _token_backend = BACKEND
    token_type = "refresh"  # noqa: S105
    lifetime = settings.SESSION_IDLE_LIMIT


class Device(TypedDict):
    ip: str
    user_agent: str


class Claims(NamedTuple):
    sub: UUID
    sid: UUID
    jti: UUID


@dataclass(frozen=True)
class TokenPair:
    """`rotated` is false when a token spent a moment ago was answered with its successor again."""

    access: str
    refresh: str
    session: DeviceSession
    rotated: bool = True


def start(user: User, *, ip: str, user_agent: str, now: datetime | None = None) -> TokenPair:
    """Sign `user` in on one more device; the others stay as they are."""
    now = now or timezone.now()
    session = DeviceSession.objects.create(
        user=user,
        current_jti=uuid4(),
        rotated_at=now,
        created_at=now,
        last_seen=now,
        **_device(ip, user_agent),
    )
    return _pair(session, now)


def rotate(refresh_token: str, *, now: datetime, ip: str, user_agent: str) -> TokenPair | None:
    """Spend a refresh token: the next pair, or None when its session is over.

    A token spent less than `REFRESH_REUSE_WINDOW` ago gets its successor again. One spent earlier was
    copied: its session ends, whoever holds the rest (RFC 9700, section 4.14.2).

    Two tabs that present R1 at once, under READ COMMITTED: both run the UPDATE; one takes the row lock and
    commits R2. The other waits, then PostgreSQL checks its WHERE again on the new row: current_jti is R2, no
    row matches. Its SELECT starts after that commit, sees previous_jti = R1 and hands out R2 too, so it does
    not matter which answer the browser stores last, or whether one is lost because the visitor clicked on.
    That check again on the new row needs plain columns of this table in the WHERE: a subquery over the same
    table (which a join in `filter` would make of it) is not run again, and both would win.
    A session ended meanwhile fails `revoked_at IS NULL` in the same way, whichever comes first.
    """
    claims = read(RefreshToken, refresh_token)
    if claims is None:
        return None
    session = DeviceSession.objects.filter(id=claims.sid, user_id=claims.sub)
    active = Exists(User.objects.filter(id=OuterRef("user_id"), is_active=True))
    rotated = (
        session.live(now)
        .filter(active, current_jti=claims.jti)
        .update(current_jti=uuid4(), previous_jti=claims.jti, rotated_at=now, last_seen=now, **_device(ip, user_agent))
    )
    found = session.live(now).with_active_user().first()
    if found and (rotated or _spent_just_now(found, claims.jti, now)):
        return _pair(found, now, rotated=bool(rotated))
    if session.exclude(current_jti=claims.jti).end(DeviceSession.Ended.REUSE, now):
        logger.warning("Spent refresh token came back: ended device session %s of account %s", claims.sid, claims.sub)
    return None


def session_of(claims: Claims, now: datetime) -> DeviceSession | None:
    """The live session that claims speak for, with its user, in one query.

    Every page begins with it, so it is plain SQL: building the same statement from `live().with_active_user()`
    took a fifth of the Credits page.
    """
    sessions, users = _columns(DeviceSession), _columns(User)
    with connection.cursor() as cursor:
        cursor.execute(
            _session_statement(),
            [claims.sid, claims.sub, now - settings.SESSION_IDLE_LIMIT, now - settings.SESSION_ABSOLUTE_LIMIT],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    session = DeviceSession.from_db(connection.alias, sessions, row[: len(sessions)])
    session.user = User.from_db(connection.alias, users, row[len(sessions) :])
    return session


@cache
def _session_statement() -> str:
    columns = [f"s.{name}" for name in _columns(DeviceSession)] + [f"u.{name}" for name in _columns(User)]
    return f"""
        SELECT {", ".join(columns)} FROM accounts_devicesession s JOIN accounts_user u ON u.id = s.user_id
        WHERE s.id = %s AND s.user_id = %s AND s.revoked_at IS NULL AND s.last_seen > %s AND s.created_at > %s
            AND u.is_active
        """  # noqa: S608


@cache
def _columns(model: type[Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


def session_of_refresh_token(refresh_token: str, now: datetime) -> DeviceSession | None:
    """The session a refresh token could prolong, without prolonging it: what a poll may use (A6)."""
    claims = read(RefreshToken, refresh_token)
    session = session_of(claims, now) if claims else None
    if claims and session and (session.current_jti == claims.jti or _spent_just_now(session, claims.jti, now)):
        return session
    return None


def read(kind: type[Token], token: str) -> Claims | None:
    """The claims of a token we signed that hasn't expired, or None."""
    try:
        claims = kind(token)  # type: ignore[arg-type]
        return Claims(UUID(claims["sub"]), UUID(claims["sid"]), UUID(claims["jti"]))
    except (TokenError, KeyError, ValueError, TypeError, AttributeError, OverflowError):
        return None


def device_of(request: HttpRequest) -> Device:
    """What a request tells of the device it came from, for `start` and `rotate`."""
    return {
        "ip": AccountAdapter(request).get_client_ip(request),
        "user_agent": request.headers.get("User-Agent", ""),
    }


def set_cookies(response: HttpResponseBase, pair: TokenPair, now: datetime) -> None:
    lifetimes = {
        ACCESS_COOKIE: (pair.access, settings.ACCESS_TOKEN_LIFETIME),
        REFRESH_COOKIE: (pair.refresh, pair.session.expires_at - now),
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


def _pair(session: DeviceSession, now: datetime, *, rotated: bool = True) -> TokenPair:
    access, refresh = AccessToken(), RefreshToken()
    for token in (access, refresh):
        token["sub"], token["sid"] = str(session.user_id), str(session.id)
        token.set_iat(at_time=now)
    access.set_exp(from_time=now, lifetime=min(settings.ACCESS_TOKEN_LIFETIME, session.expires_at - now))
    refresh["jti"] = session.current_jti.hex
    refresh.set_exp(from_time=session.expires_at, lifetime=timedelta(0))
    return TokenPair(str(access), str(refresh), session, rotated)


def _spent_just_now(session: DeviceSession, jti: UUID, now: datetime) -> bool:
    return session.previous_jti == jti and now - session.rotated_at <= settings.REFRESH_REUSE_WINDOW


def _device(ip: str, user_agent: str) -> dict[str, str | None]:
    return {"ip": ip or None, "user_agent": user_agent.replace("\0", "")[:300]}
