from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client, override_settings

from sidekick.accounts import tokens
from sidekick.accounts.models import DeviceSession, User
from tests.conftest import PASSWORD
from tests.post import delivered

pytestmark = pytest.mark.urls("tests.sidekick.accounts.urls")

SignIn = Callable[[Client, User], None]
PassTime = Callable[..., datetime]


def log_in(client: Client, email: str, password: str = PASSWORD, **fields: str) -> Any:
    return client.post("/accounts/login/", {"login": email, "password": password, **fields})


def code_from_mail() -> str:
    body = str(delivered()[-1].body)
    found = re.search(r"^\s*([A-Z0-9]{4}-[A-Z0-9]{4})$", body, re.MULTILINE)
    assert found, body
    return found[1]


def signed_in_as(client: Client) -> str:
    answer: str = client.get("/test/who").json()["user"]
    return answer


def test_password_signs_in_and_returns_to_the_page_asked_for(client: Client, alice: User) -> None:  # A1 N1
    response = log_in(client, "ALICE@example.com", next="/dashboard/test/page?x=1")
    assert (response.status_code, response["Location"]) == (302, "/dashboard/test/page?x=1")
    assert signed_in_as(client) == alice.email
    assert "no-store" in response["Cache-Control"]
    assert client.get("/dashboard/test/page").status_code == 200
    assert DeviceSession.objects.get().ip == "127.0.0.1"


@pytest.mark.parametrize(
    "url", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "http:evil.example"]
)
def test_next_never_leads_to_another_site(client: Client, alice: User, url: str) -> None:  # N1
    assert log_in(client, alice.email, next=url)["Location"] == "/dashboard/credits"


@override_settings(ALLOWED_HOSTS=["testserver", "other.example", ".example.com"])
def test_next_never_leads_to_another_of_our_hosts(client: Client, alice: User) -> None:  # N1
    assert log_in(client, alice.email, next="https://other.example/")["Location"] == "/dashboard/credits"


def test_nothing_of_the_sign_in_flow_outlives_it(client: Client, alice: User) -> None:  # A2
    log_in(client, alice.email)
    assert not Session.objects.exists()
    assert not client.cookies["sidekick_flow"].value if "sidekick_flow" in client.cookies else True


def test_new_account_verifies_its_email_by_code(client: Client) -> None:  # A1
    response = client.post(
        "/accounts/signup/",
        {"email": "New@Example.com", "password1": PASSWORD, "time_zone": "Europe/Vienna", "next": "/dashboard/billing"},
    )
    assert response["Location"] == "/accounts/confirm-email/?next=%2Fdashboard%2Fbilling"
    assert signed_in_as(client) == "AnonymousUser"
    user = User.objects.get()
    assert (user.email, user.time_zone) == ("new@example.com", "Europe/Vienna")
    assert user.password.startswith("argon2")  # A9
    response = client.post("/accounts/confirm-email/", {"code": code_from_mail()})
    assert response["Location"] == "/dashboard/billing"
    assert signed_in_as(client) == "new@example.com"
    assert not Session.objects.exists()


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", ""])
def test_unknown_time_zone_at_sign_up_is_ignored(client: Client, zone: str) -> None:  # A10
    client.post("/accounts/signup/", {"email": "new@example.com", "password1": PASSWORD, "time_zone": zone})
    assert User.objects.get().time_zone == "UTC"


def test_code_by_email_signs_in(client: Client, alice: User) -> None:  # A1
    response = client.post("/accounts/login/code/", {"email": alice.email})
    assert response["Location"] == "/accounts/login/code/confirm/"
    assert client.get("/accounts/login/code/confirm/").status_code == 200
    assert client.post("/accounts/login/code/confirm/", {"code": code_from_mail()}).status_code == 302
    assert signed_in_as(client) == alice.email


@pytest.mark.parametrize("way", ["/accounts/login/code/", "/accounts/password/reset/"])
def test_who_signed_up_with_another_persons_address_gains_nothing(client: Client, way: str) -> None:  # A1 A9
    """The stranger waits with a password of their own until the owner verifies the address in another browser."""
    stranger = Client()
    stranger.post("/accounts/signup/", {"email": "owner@example.com", "password1": PASSWORD})
    response = client.post(way, {"email": "owner@example.com"})
    assert client.post(response["Location"], {"code": code_from_mail()}).status_code == 302
    assert (signed_in_as(client) == "owner@example.com") == (way == "/accounts/login/code/")
    assert signed_in_as(stranger) == "AnonymousUser"
    log_in(stranger, "owner@example.com")
    assert signed_in_as(stranger) == "AnonymousUser"
    assert not User.objects.get().has_usable_password()


def test_password_typed_before_the_address_was_verified_stays(client: Client) -> None:  # A1
    """Signing up, signing in from another browser, verifying there: the same person all along."""
    Client().post("/accounts/signup/", {"email": "owner@example.com", "password1": PASSWORD})
    cache.clear()
    assert log_in(client, "owner@example.com")["Location"] == "/accounts/confirm-email/"
    assert client.post("/accounts/confirm-email/", {"code": code_from_mail()}).status_code == 302
    assert User.objects.get().check_password(PASSWORD)


def test_another_email_is_added_only_after_the_password_and_takes_nothing_away(
    client: Client, alice: User, sign_in: SignIn
) -> None:  # A10
    sign_in(client, alice)
    form = {"email": "other@example.com", "action_add": ""}
    response = client.post("/accounts/email/", form)
    assert response["Location"].startswith("/accounts/reauthenticate/")
    assert list(EmailAddress.objects.values_list("email", flat=True)) == [alice.email]
    client.post(response["Location"], {"password": PASSWORD})
    client.post("/accounts/email/", form)
    client.post("/accounts/confirm-email/", {"code": code_from_mail()})
    assert EmailAddress.objects.get(email="other@example.com").verified
    assert User.objects.get().check_password(PASSWORD)
    assert signed_in_as(client) in {alice.email, "other@example.com"}


def test_password_is_reset_by_code_and_every_session_ends(
    client: Client, alice: User, sign_in: SignIn
) -> None:  # A1 A7
    thief = Client()
    sign_in(thief, alice)
    response = client.post("/accounts/password/reset/", {"email": alice.email})
    response = client.post(response["Location"], {"code": code_from_mail()})
    response = client.post(
        response["Location"], {"password1": "an-entirely-new-one", "password2": "an-entirely-new-one"}
    )
    assert response.status_code == 302
    assert signed_in_as(thief) == "AnonymousUser"
    log_in(client, alice.email, "an-entirely-new-one")
    assert signed_in_as(client) == alice.email


def test_changing_the_password_ends_the_other_sessions_only(client: Client, alice: User, sign_in: SignIn) -> None:  # A7
    phone = Client()
    sign_in(client, alice)
    sign_in(phone, alice)
    new = {"oldpassword": PASSWORD, "password1": "an-entirely-new-one", "password2": "an-entirely-new-one"}
    assert client.post("/accounts/password/change/", new).status_code == 302
    assert signed_in_as(client) == alice.email
    assert signed_in_as(phone) == "AnonymousUser"
    ended = DeviceSession.objects.exclude(revoked_at=None).get()
    assert ended.revoked_because == DeviceSession.Ended.PASSWORD_CHANGED


@override_settings(ACCOUNT_AUTHENTICATED_LOGIN_REDIRECTS=False)
def test_signing_in_again_ends_the_session_this_browser_had(client: Client, alice: User, charlie: User) -> None:  # A4
    log_in(client, alice.email)
    log_in(client, charlie.email)
    assert signed_in_as(client) == charlie.email
    assert alice.device_sessions.get().revoked_because == DeviceSession.Ended.SIGNED_IN_AGAIN
    assert charlie.device_sessions.live().count() == 1


def test_sensitive_pages_ask_for_the_password_again_and_remember_it(
    client: Client, alice: User, sign_in: SignIn
) -> None:  # A1
    """The record of a recent password lives in the flow's session, after sign-in, and only for that account."""
    sign_in(client, alice)
    response = client.get("/accounts/2fa/totp/activate/")
    assert response["Location"].startswith("/accounts/reauthenticate/")
    response = client.post(response["Location"], {"password": PASSWORD})
    assert response["Location"] == "/accounts/2fa/totp/activate/"
    assert client.get("/accounts/2fa/totp/activate/").status_code == 200
    assert signed_in_as(client) == alice.email


def test_second_factor_is_asked_for_once_it_is_set_up(client: Client, alice: User, pass_time: PassTime) -> None:  # A1
    from allauth.mfa.totp.internal import auth

    from tests.sidekick.accounts.api.test_views import totp_code

    secret = auth.generate_totp_secret()
    auth.TOTP.activate(alice, secret)
    assert log_in(client, alice.email)["Location"] == "/accounts/2fa/authenticate/"
    assert signed_in_as(client) == "AnonymousUser"
    assert client.post("/accounts/2fa/authenticate/", {"code": totp_code(secret)}).status_code == 302
    assert signed_in_as(client) == alice.email


def answer(client: Client, path: str, data: dict[str, str]) -> tuple[Any, ...]:
    """Everything that an outsider can tell apart: status, place, body and cookies, without their own input."""
    response = client.post(path, data)
    page = client.get(response["Location"]) if response.status_code == 302 else response
    text = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page.content.decode())
    return response.status_code, response.get("Location"), sorted(response.cookies), text.replace(data["known"], "X")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/accounts/login/", "login"),
        ("/accounts/signup/", "email"),
        ("/accounts/password/reset/", "email"),
        ("/accounts/login/code/", "email"),
    ],
)
def test_answers_do_not_tell_whether_an_email_has_an_account(alice: User, path: str, field: str) -> None:  # A9
    known, unknown = (
        answer(Client(), path, {field: email, "password": "wrong-one-entirely", "password1": PASSWORD, "known": email})
        for email in (alice.email, "alicf@example.com")
    )
    assert known == unknown


def test_signing_up_hashes_a_password_whether_or_not_the_email_has_an_account(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:  # A9
    """Hashing is what takes long: an answer without it would tell by its time."""
    hashed: list[str] = []
    encode = Argon2PasswordHasher.encode

    def counted(hasher: Argon2PasswordHasher, password: str, salt: str) -> str:
        hashed.append(password)
        return str(encode(hasher, password, salt))

    monkeypatch.setattr(Argon2PasswordHasher, "encode", counted)
    for email in (alice.email, "alicf@example.com"):
        Client().post("/accounts/signup/", {"email": email, "password1": "a-long-new-password"})
        assert hashed == ["a-long-new-password"]
        hashed.clear()


def test_inactive_account_is_told_so_only_with_the_right_password(client: Client, alice: User) -> None:  # A9
    User.objects.update(is_active=False)
    assert log_in(client, alice.email, "wrong-one-entirely").status_code == 200
    assert log_in(client, alice.email)["Location"] == "/accounts/inactive/"
    assert not DeviceSession.objects.exists()


def test_a_wrong_password_is_not_told_from_an_unknown_address(client: Client, alice: User) -> None:  # A9
    for email in (alice.email, "stranger@example.com"):
        assert "Incorrect email or password." in log_in(client, email, "wrong-one-entirely").content.decode()


def test_guessing_a_password_is_slowed_down_for_that_account(client: Client, alice: User) -> None:  # A9
    for _ in range(5):
        log_in(client, alice.email, "wrong-one-entirely")
    assert "Wait 5 minutes, or use an emailed code." in log_in(client, alice.email).content.decode()
    assert tokens.ACCESS_COOKIE not in client.cookies


def test_too_many_attempts_get_the_429_page(client: Client, alice: User) -> None:  # A9 N7
    for _ in range(30):
        client.post("/accounts/login/", {"login": "", "password": ""})
    response = log_in(client, alice.email)
    assert response.status_code == 429
    assert "429.html" in [template.name for template in response.templates]


def test_codes_for_one_email_are_limited_from_everywhere(alice: User) -> None:  # A9
    for number in range(4):
        response = Client(REMOTE_ADDR=f"192.0.2.{number}").post("/accounts/password/reset/", {"email": alice.email})
    assert response.status_code == 429
    assert len(delivered()) == 3


@override_settings(TRUSTED_PROXIES=1, ALLAUTH_TRUSTED_PROXY_COUNT=1)
@pytest.mark.parametrize(
    ("forwarded", "ip"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("junk", "127.0.0.1"),
        (None, "127.0.0.1"),
    ],
)
def test_ip_is_the_one_our_proxy_saw(client: Client, alice: User, forwarded: str | None, ip: str) -> None:  # A4
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    client.post("/accounts/login/", {"login": alice.email, "password": PASSWORD}, headers=headers)
    assert DeviceSession.objects.get().ip == ip


@override_settings(ALLAUTH_TRUSTED_PROXY_COUNT=2)
def test_request_past_the_proxies_is_no_server_error(client: Client, alice: User) -> None:
    client.post(
        "/accounts/login/", {"login": alice.email, "password": PASSWORD}, headers={"X-Forwarded-For": "6.6.6.6"}
    )
    assert DeviceSession.objects.get().ip == "127.0.0.1"


@pytest.mark.parametrize(("staff", "status"), [(True, 200), (False, 403)])
def test_admin_is_entered_through_the_sign_in_page(client: Client, alice: User, staff: bool, status: int) -> None:  # O1
    User.objects.update(is_staff=staff)
    response = client.get("/admin/", follow=True)
    assert response.redirect_chain[-1][0] == "/accounts/login/?next=%2Fadmin%2F"
    assert client.post("/admin/login/", {"username": alice.email, "password": PASSWORD})["Location"].startswith(
        "/accounts/login/"
    )
    log_in(client, alice.email, next="/admin/")
    assert client.get("/admin/", follow=True).status_code == status
