"""Device sessions: starting one, finding it, refreshing it, and noticing a stolen refresh token (A2, A4–A6)."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, TypedDict
from uuid import uuid4

from django.conf import settings
from django.db import connection
from django.db.models import Exists, F, Model, OuterRef
from django.http import HttpRequest
from django.utils import timezone

from sidekick.accounts.http import is_poll
from sidekick.accounts.models import DeviceSession, User
from sidekick.accounts.sign_in.adapter import AccountAdapter
from sidekick.accounts.tokens import Claims, RefreshToken, TokenPair, read

logger = logging.getLogger(__name__)


class Device(TypedDict):
    ip: str
    user_agent: str


class Refreshed(NamedTuple):
    session: DeviceSession
    pair: TokenPair | None  # None: this request is served, but only the successors that were handed out go on


def start(user: User, *, ip: str, user_agent: str, now: datetime | None = None) -> TokenPair:
    """Sign `user` in on one more device; the others stay as they are."""
    now = now or timezone.now()
    jti = uuid4()
    session = DeviceSession.objects.create(
        user=user,
        current_jti=jti,
        rotated_at=now,
        created_at=now,
        last_seen=now,
        **_device(ip, user_agent),
    )
    return TokenPair.for_session(session, jti, now)


def rotate(
    refresh_token: str, *, now: datetime, ip: str, user_agent: str, poll: bool = False, sent: datetime | None = None
) -> Refreshed | None:
    """Spend a refresh token: the session with its next pair, or None when the session is over. A poll prolongs nothing.

    `sent` is when the token came, if its request took longer to arrive: another tab may have spent it during an upload.

    A spent token gets one more successor while `owing_a_sibling` says so, for the other tab or after a lost answer.
    Once more within `REFRESH_REUSE_WINDOW` after that it speaks for its session without a pair. Later it was copied, as
    was the successor that did not go on: the session ends, whoever holds the rest (RFC 9700, section 4.14.2). So of two
    holders of one token both can follow it to its successors, and not to theirs.
    """
    claims = read(RefreshToken, refresh_token)
    if claims is None:
        return None
    session, jti = DeviceSession.objects.filter(id=claims.sid, user_id=claims.sub), uuid4()
    live = session.live(now).filter(Exists(User.objects.filter(id=OuterRef("user_id"), is_active=True)))
    handed: dict[str, Any] = {"current_jti": jti, "rotated_at": now}
    if not poll:
        handed |= {"last_seen": now, **_device(ip, user_agent)}
    # Two tabs present R1 at once, under READ COMMITTED: both run this UPDATE; one takes the row lock and commits R2.
    # The other waits, then PostgreSQL checks its WHERE again on the new row: current_jti is R2, so no row matches.
    # That second check needs plain columns of this table in the WHERE: a subquery over the same table (which a join
    # in `filter` would make of it) is not run again, and both would win. A session that is ended meanwhile fails
    # `revoked_at IS NULL` in the same way, whichever comes first. The second UPDATE decides between two that waited.
    again = False
    rotated = live.filter(DeviceSession.unspent(claims.jti)).update(previous_jti=claims.jti, unused_jti=jti, **handed)
    if not rotated:
        sibling = {"sibling_jti": F("current_jti"), "sibling_for": claims.jti}
        again = bool(live.owing_a_sibling(claims.jti, sent or now).update(**sibling, **handed))
    found = session.live(now).with_active_user().first()
    if found and (rotated or again):
        if again:
            logger.info("Second successor of a refresh token: device session %s of account %s", claims.sid, claims.sub)
        return Refreshed(found, TokenPair.for_session(found, jti, now))
    if found and found.previous_jti == claims.jti and (sent or now) - found.rotated_at <= settings.REFRESH_REUSE_WINDOW:
        return Refreshed(found, None)
    # An unspent token is no reuse: its session ran out, or its account isn't active.
    if session.exclude(DeviceSession.unspent(claims.jti)).end(DeviceSession.Ended.REUSE, now):
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


def note_use(request: HttpRequest, session: DeviceSession, claims: Claims, now: datetime) -> None:
    """Note that a successor arrived, and that a person came after a poll had refreshed. Both happen once a generation.

    `session` is as `find` returned it for `claims`.
    """
    noted: dict[str, Any] = {}
    if claims.gen and claims.gen == session.unused_jti:
        noted["unused_jti"] = None
    # While a page polls, its polls get nearly all tokens, and its owner's clicks come with them.
    if session.last_seen < session.rotated_at and not is_poll(request):
        noted |= {"last_seen": max(now, session.rotated_at), **_device(**device_of(request))}
    if noted:
        # Nothing was handed out since `find`, nor did the session end.
        DeviceSession.objects.filter(id=session.id, rotated_at=session.rotated_at, revoked_at=None).update(**noted)


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


def _device(ip: str, user_agent: str) -> dict[str, str | None]:
    # PostgreSQL's text can't hold NUL.
    return {"ip": ip or None, "user_agent": user_agent.replace("\0", "")[:300]}
