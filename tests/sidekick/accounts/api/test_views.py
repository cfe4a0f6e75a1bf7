from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.test import Client
from pytest_django import Settings

from sidekick.accounts import device_sessions, tokens
from sidekick.accounts.models import DeviceSession, User
from tests.conftest import PASSWORD
from tests.sidekick.accounts.test_tokens import HERE, bad_tokens

pytestmark = pytest.mark.urls("tests.sidekick.accounts.urls")

PassTime = Callable[..., datetime]


def post(client: Client, path: str, data: Any) -> Any:
    return client.post(f"/api/v1/auth/{path}", data, content_type="application/json")


def get(client: Client, token: str, path: str = "customers") -> Any:
    return client.get(f"/api/v1/test/{path}", headers={"Authorization": f"Bearer {token}"})


def totp_code(secret: str) -> str:
    counter = auth.yield_hotp_counters_from_time()
    return str(auth.format_hotp_value(auth.hotp_value(secret, next(iter(counter)))))


def signed_in(client: Client, **extra: str) -> dict[str, str]:
    response = post(client, "token", {"email": "alice@example.com", "password": PASSWORD, **extra})
    assert response.status_code == 200, response.json()
    pair: dict[str, str] = response.json()
    return pair


def refused(response: Any, status: int, code: str) -> bool:
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body.keys() >= {"type", "title", "status", "code", "detail"}
    assert (response.status_code, body["status"], body["code"]) == (status, status, code)
    return True


def test_password_gets_a_session_like_the_browsers(client: Client, alice: User) -> None:  # A8
    pair = signed_in(client)
    assert pair.keys() == {"access", "refresh"}
    assert get(client, pair["access"]).json()["user"] == alice.email
    assert DeviceSession.objects.get().user == alice
    assert not client.cookies, "tokens of the API never become cookies"


def test_bearer_costs_one_query(client: Client, alice: User, django_assert_num_queries: Any) -> None:  # A8
    access = signed_in(client)["access"]
    with django_assert_num_queries(1):
        get(client, access)


@pytest.mark.parametrize("who", ["wrong password", "unknown", "unverified", "inactive", "no password"])
def test_every_refusal_looks_the_same(client: Client, alice: User, who: str) -> None:  # A9
    email, password = alice.email, PASSWORD
    if who == "wrong password":
        password = "not-the-password"
    elif who == "unknown":
        email = "nobody@example.com"
    elif who == "unverified":
        EmailAddress.objects.update(verified=False)
    elif who == "inactive":
        User.objects.update(is_active=False)
    else:
        alice.set_unusable_password()
        alice.save()
    response = post(client, "token", {"email": email, "password": password})
    assert refused(response, 401, "invalid_credentials")
    assert response.json()["detail"] == "The email or the password is not right."
    assert not DeviceSession.objects.exists()


class CountingHasher(Argon2PasswordHasher):
    """Hashing is what takes the time of a sign-in."""

    hashed = 0

    def encode(self, password: str, salt: str) -> str:
        CountingHasher.hashed += 1
        return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        CountingHasher.hashed += 1
        return super().verify(password, encoded)


def test_unknown_email_takes_as_long_as_a_wrong_password(client: Client, alice: User, settings: Settings) -> None:  # A9
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]

    def hashes(email: str) -> int:
        before = CountingHasher.hashed
        post(client, "token", {"email": email, "password": "not-the-password"})
        return CountingHasher.hashed - before

    assert hashes("nobody@example.com") == hashes(alice.email) == 1


def test_refresh_spends_the_token(client: Client, alice: User, pass_time: PassTime) -> None:  # A8 A6
    first = signed_in(client)
    second = post(client, "refresh", {"refresh": first["refresh"]}).json()
    assert get(client, second["access"]).status_code == 200
    pass_time(seconds=31)
    assert refused(post(client, "refresh", {"refresh": first["refresh"]}), 401, "invalid_token")
    assert refused(post(client, "refresh", {"refresh": second["refresh"]}), 401, "invalid_token")
    assert refused(get(client, second["access"]), 401, "invalid_token")


@pytest.mark.parametrize("seconds", [0, 30, 540])
def test_refresh_whose_answer_was_lost_may_be_sent_again_once(
    client: Client, alice: User, pass_time: PassTime, seconds: int
) -> None:  # A8 A6
    first = signed_in(client)
    lost = post(client, "refresh", {"refresh": first["refresh"]}).json()
    pass_time(seconds=seconds)
    second = post(client, "refresh", {"refresh": first["refresh"]}).json()
    assert second["refresh"] != lost["refresh"]
    assert get(client, second["access"]).status_code == 200
    pass_time(seconds=30)
    assert refused(post(client, "refresh", {"refresh": first["refresh"]}), 401, "refresh_token_spent")
    third = post(client, "refresh", {"refresh": second["refresh"]}).json()
    assert get(client, third["access"]).status_code == 200, "the session went on"
    assert refused(post(client, "refresh", {"refresh": lost["refresh"]}), 401, "invalid_token"), (
        "one of the two goes on"
    )
    assert refused(get(client, third["access"]), 401, "invalid_token")


def test_a_successor_that_an_api_client_used_is_the_only_one_after_the_window(
    client: Client, alice: User, pass_time: PassTime, django_assert_num_queries: Any
) -> None:  # A8 A6
    first = signed_in(client)
    second = post(client, "refresh", {"refresh": first["refresh"]}).json()
    for queries in (2, 1):
        with django_assert_num_queries(queries):
            assert get(client, second["access"]).status_code == 200
    pass_time(seconds=31)
    assert refused(post(client, "refresh", {"refresh": first["refresh"]}), 401, "invalid_token")


def test_polls_of_the_api_prolong_nothing(client: Client, alice: User, pass_time: PassTime) -> None:  # A8 A6
    pair = signed_in(client)
    pass_time(minutes=6)
    browser = Client()
    browser.cookies[tokens.REFRESH_COOKIE] = pair["refresh"]
    browser.get("/test/who", headers={"Sidekick-Poll": "1"})
    access = browser.cookies[tokens.ACCESS_COOKIE].value
    before = DeviceSession.objects.get()
    poll = {"Authorization": f"Bearer {access}", "Sidekick-Poll": "1"}
    assert client.get("/api/v1/test/customers", headers=poll).status_code == 200
    assert DeviceSession.objects.get().last_seen == before.last_seen
    assert get(client, access).status_code == 200
    assert DeviceSession.objects.get().last_seen > before.last_seen


def test_logout_ends_the_session(client: Client, alice: User) -> None:  # A8 A5
    pair = signed_in(client)
    assert post(client, "logout", {"refresh": pair["refresh"]}).status_code == 204
    assert refused(get(client, pair["access"]), 401, "invalid_token")
    assert refused(post(client, "refresh", {"refresh": pair["refresh"]}), 401, "invalid_token")
    assert post(client, "logout", {"refresh": pair["refresh"]}).status_code == 204
    assert post(client, "logout", {"refresh": "junk"}).status_code == 204


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_forged_tokens_are_refused(client: Client, alice: User) -> None:  # A8
    session = device_sessions.start(alice, **HERE).session
    for name, token in bad_tokens(session).items():
        if token.isascii() and "\0" not in token:
            assert refused(get(client, token), 401, "invalid_token"), name
    assert refused(get(client, device_sessions.start(alice, **HERE).refresh), 401, "invalid_token")
    assert refused(client.get("/api/v1/test/customers"), 401, "not_authenticated")


def test_second_factor_is_asked_for(client: Client, alice: User, pass_time: PassTime) -> None:  # A8
    secret = auth.generate_totp_secret()
    auth.TOTP.activate(alice, secret)
    credentials = {"email": alice.email, "password": PASSWORD}
    assert refused(post(client, "token", credentials), 401, "second_factor_required")
    assert refused(post(client, "token", {**credentials, "code": "000000"}), 401, "second_factor_required")
    assert refused(
        post(client, "token", {**credentials, "password": "wrong", "code": totp_code(secret)}),
        401,
        "invalid_credentials",
    )
    code = totp_code(secret)
    signed_in(client, code=code)
    assert refused(post(client, "token", {**credentials, "code": code}), 401, "second_factor_required"), "used once"


def test_recovery_code_is_a_second_factor_once(client: Client, alice: User) -> None:  # A8
    auth.TOTP.activate(alice, auth.generate_totp_secret())
    code = RecoveryCodes.activate(alice).get_unused_codes()[0]
    signed_in(client, code=code)
    response = post(client, "token", {"email": alice.email, "password": PASSWORD, "code": code})
    assert refused(response, 401, "second_factor_required")


def test_guesses_are_limited_by_email_and_the_sign_in_page_counts_them_too(client: Client, alice: User) -> None:  # A9
    for number in range(5):
        guess = {"email": alice.email, "password": f"guess-{number}"}
        assert refused(post(Client(REMOTE_ADDR=f"192.0.2.{number}"), "token", guess), 401, "invalid_credentials")
    response = post(client, "token", {"email": alice.email, "password": PASSWORD})
    assert refused(response, 429, "throttled")
    assert int(response["Retry-After"]) > 0
    page = client.post("/accounts/login/", {"login": alice.email, "password": PASSWORD})
    assert page.status_code == 200, "the page refuses the right password as well"


def test_guesses_are_limited_by_address(client: Client) -> None:  # A9
    answers = [
        post(client, "token", {"email": f"{n}@example.com", "password": "x" * 12}).status_code for n in range(21)
    ]
    assert answers == [401] * 20 + [429]


def test_signing_in_without_end_is_limited_too(client: Client, alice: User) -> None:  # A9
    for _ in range(10):
        signed_in(client)
    assert refused(post(client, "token", {"email": alice.email, "password": PASSWORD}), 429, "throttled")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        '"text"',
        "NaN",
        "[" * 100_000,
        "1" * 10_000,
        b"\xff\xfe",
        '{"email": "a\\u0000@example.com", "password": "x"}',
        '{"email": "\\ud800@example.com", "password": "x"}',
        '{"email": "a@example.com", "password": "\\ud800"}',
        '{"email": "a@example.com", "password": "\\u0000"}',
        '{"email": {"a": 1}, "password": [1]}',
        '{"email": 7, "password": true}',
        '{"email": "a@example.com"}',
    ],
)
@pytest.mark.parametrize("path", ["token", "refresh", "logout"])
def test_nonsense_is_a_400(client: Client, alice: User, body: str | bytes, path: str) -> None:  # A8
    response = post(client, path, body)
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] in {"parse_error", "invalid"}
