from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import jwt
import pytest
from django.conf import settings
from pytest_django import Settings

from sidekick.accounts import device_sessions, tokens
from sidekick.accounts.models import DeviceSession, User

HERE = device_sessions.Device(ip="192.0.2.1", user_agent="Firefox")
PassTime = Callable[..., datetime]


def expiry(token: str) -> datetime:
    return datetime.fromtimestamp(jwt.decode(token, options={"verify_signature": False})["exp"], UTC)


def test_a_pair_names_account_session_and_itself(alice: User, pass_time: PassTime) -> None:  # A2
    pair = device_sessions.start(alice, **HERE)
    claims = jwt.decode(pair.access, options={"verify_signature": False})
    assert (claims["sub"], claims["sid"]) == (str(alice.id), str(pair.session.id))
    assert expiry(pair.access) == pass_time(minutes=5)
    assert jwt.get_unverified_header(pair.access)["alg"] == "HS256"
    assert tokens.read(tokens.RefreshToken, pair.access) is None, "an access token is no refresh token"
    assert tokens.read(tokens.AccessToken, pair.refresh) is None


def unsigned(claims: dict[str, object]) -> str:
    def part(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


def bad_tokens(session: DeviceSession) -> dict[str, str]:
    claims = {
        "token_type": "access",
        "sub": str(session.user_id),
        "sid": str(session.id),
        "jti": uuid4().hex,
        "exp": 4_000_000_000,
    }
    good = jwt.encode(claims, settings.SECRET_KEY, "HS256")
    head, _, signature = good.split(".")
    return {
        "expired": jwt.encode({**claims, "exp": 1}, settings.SECRET_KEY, "HS256"),
        "no expiry": jwt.encode({k: v for k, v in claims.items() if k != "exp"}, settings.SECRET_KEY, "HS256"),
        "no session": jwt.encode({k: v for k, v in claims.items() if k != "sid"}, settings.SECRET_KEY, "HS256"),
        **{
            f"{name} {value}": jwt.encode({**claims, name: value}, settings.SECRET_KEY, "HS256")
            for name, value in (("sid", 5), ("sid", None), ("sid", {}), ("jti", 5), ("exp", 10**30))
        },
        "another key": jwt.encode(claims, "x" * 64, "HS256"),
        "another algorithm": jwt.encode(claims, settings.SECRET_KEY.ljust(64, "x"), "HS512"),
        "same key, another algorithm": jwt.encode(claims, settings.SECRET_KEY, "HS512"),
        "alg none": unsigned(claims),
        "other claims": f"{head}.{unsigned({**claims, 'sub': str(uuid4())}).split('.')[1]}.{signature}",
        "deep header": base64.urlsafe_b64encode(b"[" * 20_000).decode().rstrip("=") + ".e30.e30",
        "nothing": "",
        "noise": "\udcff\0. .",
    }


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_forged_expired_and_malformed_tokens_are_refused(alice: User) -> None:  # A2
    session = device_sessions.start(alice, **HERE).session
    for name, token in bad_tokens(session).items():
        assert tokens.read(tokens.AccessToken, token) is None, name


@pytest.mark.parametrize("claim", ["iat", "nbf"])
@pytest.mark.parametrize("kind", [tokens.AccessToken, tokens.RefreshToken])
def test_a_clock_may_be_thirty_seconds_ahead(
    alice: User, pass_time: PassTime, settings: Settings, kind: type[tokens.AccessToken], claim: str
) -> None:  # A2
    """Servers of one site differ; what they issue is dated to the second."""
    pair = device_sessions.start(alice, **HERE)
    claims = jwt.decode(
        pair.access if kind is tokens.AccessToken else pair.refresh, options={"verify_signature": False}
    )
    now, former = int(pass_time().timestamp()), "a-former-secret-key-of-fifty-characters-or-somewhat-more"
    for key in (settings.SECRET_KEY, former):
        for ahead, reads in [(29, True), (30, True), (31, False), (86_400, False)]:
            token = jwt.encode({**claims, claim: now + ahead}, key, "HS256")
            assert bool(tokens.read(kind, token)) == reads, ahead
            assert tokens.is_ahead(token) != reads, ahead
        settings.SECRET_KEY_FALLBACKS = [former]


def test_expiry_allows_for_no_clock(alice: User, pass_time: PassTime) -> None:  # A2
    pair = device_sessions.start(alice, **HERE)
    pass_time(minutes=4, seconds=59)
    assert tokens.read(tokens.AccessToken, pair.access)
    pass_time(seconds=1)
    assert tokens.read(tokens.AccessToken, pair.access) is None
    assert not tokens.is_ahead(pair.access)


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_forged_token_is_not_ahead(alice: User) -> None:  # A2
    session = device_sessions.start(alice, **HERE).session
    for name, token in bad_tokens(session).items():
        assert not tokens.is_ahead(token), name
    forged = jwt.encode({"sub": str(alice.id), "iat": 4_000_000_000, "exp": 4_000_000_001}, "x" * 64, "HS256")
    assert not tokens.is_ahead(forged)


def test_a_new_secret_key_signs_nobody_out(alice: User, settings: Settings, pass_time: PassTime) -> None:  # A2 O5
    former = "a-former-secret-key-of-fifty-characters-or-somewhat-more"
    claims = jwt.decode(device_sessions.start(alice, **HERE).access, options={"verify_signature": False})
    signed_before = jwt.encode(claims, former, "HS256")
    assert tokens.read(tokens.AccessToken, signed_before) is None
    settings.SECRET_KEY_FALLBACKS = ["another-one-that-has-nothing-to-do-with-any-of-this", former]
    assert tokens.read(tokens.AccessToken, signed_before)
    expired = jwt.encode({**claims, "exp": 1}, former, "HS256")
    assert tokens.read(tokens.AccessToken, expired) is None
