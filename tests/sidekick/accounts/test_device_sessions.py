from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from threading import Barrier, Thread
from uuid import uuid4

import jwt
import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from sidekick.accounts import device_sessions, tokens
from sidekick.accounts.models import DeviceSession, User
from tests.conftest import make_user
from tests.sidekick.accounts.conftest import NOON
from tests.sidekick.accounts.test_tokens import HERE, expiry

PassTime = Callable[..., datetime]


def refresh(pair: tokens.TokenPair) -> device_sessions.Refreshed | None:
    return device_sessions.rotate(pair.refresh, now=timezone.now(), **HERE)


def rotate(pair: tokens.TokenPair) -> tokens.TokenPair | None:
    refreshed = refresh(pair)
    return refreshed.pair if refreshed else None


def test_rotation_spends_the_token_and_notes_the_device(alice: User, pass_time: PassTime) -> None:  # A6 A4
    pair = device_sessions.start(alice, **HERE)
    now = pass_time(days=1)
    again = device_sessions.rotate(pair.refresh, now=now, ip="192.0.2.9", user_agent="Firefox 2" + "\0" * 400)
    assert again
    assert again.pair
    session = DeviceSession.objects.get()
    assert (session.last_seen, session.created_at) == (now, NOON)
    assert (session.ip, session.user_agent) == ("192.0.2.9", "Firefox 2")
    assert session.expires_at == now + settings.SESSION_IDLE_LIMIT
    assert expiry(again.pair.refresh) == NOON + settings.SESSION_ABSOLUTE_LIMIT, "only the row knows the idle limit"


def test_replayed_refresh_token_ends_the_session_and_is_logged(  # A6
    alice: User, pass_time: PassTime, caplog: pytest.LogCaptureFixture
) -> None:
    stolen = device_sessions.start(alice, **HERE)
    newest = rotate(stolen)
    pass_time(minutes=11)
    with caplog.at_level(logging.WARNING):
        assert rotate(stolen) is None
    session = DeviceSession.objects.get()
    assert session.revoked_because == DeviceSession.Ended.REUSE
    assert str(session.id) in caplog.text
    assert alice.email not in caplog.text
    assert stolen.refresh not in caplog.text
    assert newest
    assert rotate(newest) is None, "whoever holds the newest one is out as well"


def test_token_spent_twice_ago_ends_the_session_even_within_the_window(alice: User, pass_time: PassTime) -> None:  # A6
    first = device_sessions.start(alice, **HERE)
    second = rotate(first)
    assert second
    assert rotate(second)
    assert rotate(first) is None
    assert DeviceSession.objects.get().revoked_because == DeviceSession.Ended.REUSE


@pytest.mark.parametrize("poll", [False, True])
def test_second_successor_is_another_token_and_prolongs_unless_a_poll_asked(
    alice: User, pass_time: PassTime, poll: bool
) -> None:  # A6
    pair = device_sessions.start(alice, **HERE)
    first = rotate(pair)
    now = pass_time(seconds=29)
    again = device_sessions.rotate(pair.refresh, now=now, poll=poll, ip="192.0.2.9", user_agent="Firefox 2")
    assert first
    assert again
    assert again.pair
    assert again.pair.refresh != first.refresh
    session = DeviceSession.objects.get()
    assert (session.last_seen, session.ip) == ((NOON, HERE["ip"]) if poll else (now, "192.0.2.9"))
    pass_time(minutes=10)
    assert rotate(first), "either of the two goes on"


@pytest.mark.parametrize("why", ["idle", "ended", "inactive"])
def test_second_successor_is_not_for_a_session_that_is_over(alice: User, pass_time: PassTime, why: str) -> None:  # A6
    pair = device_sessions.start(alice, **HERE)
    assert rotate(pair)
    if why == "idle":
        DeviceSession.objects.update(last_seen=NOON - settings.SESSION_IDLE_LIMIT)
    elif why == "ended":
        DeviceSession.objects.all().end(DeviceSession.Ended.SIGNED_OUT)
    else:
        User.objects.update(is_active=False)
    before = DeviceSession.objects.get()
    assert rotate(pair) is None
    after = DeviceSession.objects.get()
    assert (after.current_jti, after.last_seen) == (before.current_jti, before.last_seen)


def test_replay_of_a_forged_or_unknown_token_ends_nothing(alice: User, pass_time: PassTime) -> None:  # A6
    pair = device_sessions.start(alice, **HERE)
    forged = jwt.encode(
        {"token_type": "refresh", "sub": str(alice.id), "sid": str(pair.session.id), "jti": uuid4().hex, "exp": 4e9},
        "another-key-that-is-long-enough-for-hs256",
    )
    assert device_sessions.rotate(forged, now=NOON, **HERE) is None
    assert DeviceSession.objects.live(NOON).exists()
    DeviceSession.objects.all().delete()
    assert rotate(pair) is None


def test_idle_limit_ends_a_session(alice: User, pass_time: PassTime) -> None:  # A6
    pair = device_sessions.start(alice, **HERE)
    pass_time(days=13, hours=23)
    pair = rotate(pair) or pair
    assert pair.session.last_seen > NOON
    pass_time(days=14)
    assert rotate(pair) is None
    assert not DeviceSession.objects.live().exists()


@pytest.mark.parametrize(
    ("column", "limit"), [("last_seen", settings.SESSION_IDLE_LIMIT), ("created_at", settings.SESSION_ABSOLUTE_LIMIT)]
)
def test_row_decides_on_the_limits_and_not_only_the_token(
    alice: User, pass_time: PassTime, column: str, limit: timedelta
) -> None:  # A6
    pair = device_sessions.start(alice, **HERE)
    DeviceSession.objects.update(**{column: NOON - limit})
    assert rotate(pair) is None
    assert DeviceSession.objects.get().revoked_at is None, "running out is no reuse"


def test_absolute_limit_ends_a_session_in_daily_use(alice: User, pass_time: PassTime) -> None:  # A6
    pair: tokens.TokenPair | None = device_sessions.start(alice, **HERE)
    for _ in range(8):
        pass_time(days=11)
        assert pair
        pair = rotate(pair)
    assert pair
    assert expiry(pair.refresh) == NOON + settings.SESSION_ABSOLUTE_LIMIT
    pass_time(days=2)
    assert rotate(pair) is None


def test_inactive_account_cannot_refresh(alice: User, pass_time: PassTime) -> None:  # A6
    pair = device_sessions.start(alice, **HERE)
    User.objects.update(is_active=False)
    assert rotate(pair) is None
    assert DeviceSession.objects.get().current_jti == pair.session.current_jti, "nothing was spent"


def test_ended_session_cannot_refresh(alice: User, pass_time: PassTime) -> None:  # A5
    pair = device_sessions.start(alice, **HERE)
    DeviceSession.objects.all().end(DeviceSession.Ended.SIGNED_OUT)
    assert rotate(pair) is None
    assert DeviceSession.objects.get().revoked_because == DeviceSession.Ended.SIGNED_OUT


def test_access_token_of_someone_else_does_not_open_a_session(alice: User, charlie: User) -> None:  # A2
    mine, theirs = device_sessions.start(alice, **HERE).session, device_sessions.start(charlie, **HERE).session
    assert device_sessions.find(tokens.Claims(alice.id, theirs.id, uuid4()), timezone.now()) is None
    assert device_sessions.find(tokens.Claims(alice.id, mine.id, uuid4()), timezone.now()) == mine


def test_refresh_token_of_someone_else_does_not_rotate_a_session(alice: User, charlie: User) -> None:  # A6
    session = device_sessions.start(alice, **HERE).session
    claims = {"token_type": "refresh", "sub": str(charlie.id), "sid": str(session.id), "jti": session.current_jti.hex}
    token = jwt.encode({**claims, "exp": 4_000_000_000}, settings.SECRET_KEY, "HS256")
    assert device_sessions.rotate(token, now=timezone.now(), **HERE) is None
    session.refresh_from_db()
    assert (session.revoked_at, session.previous_jti) == (None, None)


def test_session_ends_for_a_reason(alice: User) -> None:
    device_sessions.start(alice, **HERE)
    with pytest.raises(IntegrityError, match="device_session_ended_for_a_reason"), transaction.atomic():
        DeviceSession.objects.update(revoked_at=NOON)


def at_once(*actions: Callable[[], object]) -> list[object]:
    """Run the actions in threads that start together, each on its own connection."""
    barrier = Barrier(len(actions))
    results: list[object] = [None] * len(actions)

    def run(index: int, action: Callable[[], object]) -> None:
        connection.ensure_connection()
        barrier.wait()
        try:
            results[index] = action()
        finally:
            connection.close()

    threads = [Thread(target=run, args=pair) for pair in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.django_db(transaction=True)
def test_two_tabs_refreshing_at_once_stay_signed_in() -> None:  # A6
    user = make_user("alice@example.com")
    for _ in range(20):
        pair = device_sessions.start(user, **HERE)
        answers = at_once(*[partial(refresh, pair)] * 4)
        assert all(answers), "all are served"
        pairs = [answer.pair for answer in answers if isinstance(answer, device_sessions.Refreshed) and answer.pair]
        assert len({answer.refresh for answer in pairs}) == len(pairs) == 2, "the token has two successors, never more"
        session = DeviceSession.objects.get(id=pair.session.id)
        assert session.revoked_at is None
        handed = {tokens.read(tokens.RefreshToken, answer.refresh) for answer in pairs}
        assert {claims.jti for claims in handed if claims} == {session.current_jti, session.sibling_jti}


@pytest.mark.django_db(transaction=True)
def test_lost_answer_is_handed_out_again_once_to_those_who_ask_at_once() -> None:  # A6
    user = make_user("alice@example.com")
    for _ in range(20):
        pair = device_sessions.start(user, **HERE)
        assert rotate(pair)
        DeviceSession.objects.filter(id=pair.session.id).update(rotated_at=timezone.now() - timedelta(minutes=9))
        answers = at_once(*[partial(refresh, pair)] * 3)
        assert all(answers)
        handed = [answer for answer in answers if isinstance(answer, device_sessions.Refreshed) and answer.pair]
        assert len(handed) == 1


@pytest.mark.django_db(transaction=True)
def test_two_holders_of_siblings_who_refresh_at_once_end_the_session() -> None:  # A6
    user = make_user("alice@example.com")
    for _ in range(20):
        pair = device_sessions.start(user, **HERE)
        one, two = rotate(pair), rotate(pair)
        assert one
        assert two
        at_once(partial(refresh, one), partial(refresh, two))
        assert DeviceSession.objects.get(id=pair.session.id).revoked_because == DeviceSession.Ended.REUSE


@pytest.mark.django_db(transaction=True)
def test_session_ended_while_it_refreshes_stays_ended() -> None:  # A5
    user = make_user("alice@example.com")
    for _ in range(20):
        pair = device_sessions.start(user, **HERE)
        mine = DeviceSession.objects.filter(id=pair.session.id)
        at_once(partial(rotate, pair), partial(mine.end, DeviceSession.Ended.SIGNED_OUT))
        assert mine.get().revoked_because == DeviceSession.Ended.SIGNED_OUT
        assert not mine.live().exists()
