"""Device sessions: starting one, finding it, refreshing it, and noticing a stolen refresh token (A2, A4–A6)."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import cache
from typing import TypedDict
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection
from django.db.models import Exists, Model, OuterRef
from django.http import HttpRequest
from django.utils import timezone

from sidekick.accounts.models import DeviceSession, User
from sidekick.accounts.sign_in.adapter import AccountAdapter
from sidekick.accounts.tokens import Claims, RefreshToken, TokenPair, read

logger = logging.getLogger(__name__)


class Device(TypedDict):
    ip: str
    user_agent: str


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
    return TokenPair.for_session(session, now)


def rotate(refresh_token: str, *, now: datetime, ip: str, user_agent: str) -> TokenPair | None:
    """Spend a refresh token: the next pair, or None when its session is over.

    A token spent less than `REFRESH_REUSE_WINDOW` ago gets its successor again. One spent earlier was
    copied: its session ends, whoever holds the rest (RFC 9700, section 4.14.2).
    """
    claims = read(RefreshToken, refresh_token)
    if claims is None:
        return None
    session = DeviceSession.objects.filter(id=claims.sid, user_id=claims.sub)
    active = Exists(User.objects.filter(id=OuterRef("user_id"), is_active=True))
    # Two tabs present R1 at once, under READ COMMITTED: both run this UPDATE; one takes the row lock and commits R2.
    # The other waits, then PostgreSQL checks its WHERE again on the new row: current_jti is R2, so no row matches.
    # That second check needs plain columns of this table in the WHERE: a subquery over the same table (which a join
    # in `filter` would make of it) is not run again, and both would win. A session that is ended meanwhile fails
    # `revoked_at IS NULL` in the same way, whichever comes first.
    rotated = (
        session.live(now)
        .filter(active, current_jti=claims.jti)
        .update(current_jti=uuid4(), previous_jti=claims.jti, rotated_at=now, last_seen=now, **_device(ip, user_agent))
    )
    # The tab that waited reads after the other's commit, sees previous_jti = R1 and hands out R2 too: it does not
    # matter which response the browser stores last, or whether one is lost because the visitor clicked on.
    found = session.live(now).with_active_user().first()
    if found and (rotated or _spent_just_now(found, claims.jti, now)):
        return TokenPair.for_session(found, now, rotated=bool(rotated))
    if session.exclude(current_jti=claims.jti).end(DeviceSession.Ended.REUSE, now):
        logger.warning("Spent refresh token came back: ended device session %s of account %s", claims.sid, claims.sub)
    return None


def find(claims: Claims, now: datetime) -> DeviceSession | None:
    """Returns the live session that claims speak for, with its user, in one query."""
    sessions, users = _columns(DeviceSession), _columns(User)
    # Every page begins with it, so it is plain SQL: building the same statement from `live().with_active_user()`
    # took a fifth of the Credits page.
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


def find_by_refresh_token(refresh_token: str, now: datetime) -> DeviceSession | None:
    """Returns the session a refresh token could prolong, without prolonging it: what a poll may use (A6)."""
    claims = read(RefreshToken, refresh_token)
    session = find(claims, now) if claims else None
    if claims and session and (session.current_jti == claims.jti or _spent_just_now(session, claims.jti, now)):
        return session
    return None


def device_of(request: HttpRequest) -> Device:
    """Returns what a request tells of the device it came from, for `start` and `rotate`."""
    return {
        "ip": AccountAdapter(request).get_client_ip(request),
        "user_agent": request.headers.get("User-Agent", ""),
    }


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


def _spent_just_now(session: DeviceSession, jti: UUID, now: datetime) -> bool:
    return session.previous_jti == jti and now - session.rotated_at <= settings.REFRESH_REUSE_WINDOW


def _device(ip: str, user_agent: str) -> dict[str, str | None]:
    # PostgreSQL's text can't hold NUL.
    return {"ip": ip or None, "user_agent": user_agent.replace("\0", "")[:300]}
