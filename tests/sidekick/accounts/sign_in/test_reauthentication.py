"""Asking once more before something important."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

import pytest
from allauth.account.models import EmailAddress
from django.test import Client

from sidekick.accounts.models import User
from tests.conftest import PASSWORD
from tests.post import delivered

pytestmark = pytest.mark.urls("tests.sidekick.accounts.urls")

SignIn = Callable[[Client, User], None]
PassTime = Callable[..., datetime]
GUARDED = (
    "/accounts/email/",
    "/accounts/password/set/",
    "/accounts/2fa/totp/activate/",
    "/accounts/2fa/webauthn/add/",
    "/dashboard/account/delete",
)


@pytest.fixture
def passwordless(alice: User) -> User:
    alice.set_unusable_password()
    alice.save()
    return alice


def code_from_mail() -> str:
    found = re.search(r"^\s*([A-Z0-9]{4}-[A-Z0-9]{4})$", str(delivered()[-1].body), re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize("path", GUARDED)
def test_an_account_with_a_password_is_asked_for_it(client: Client, alice: User, sign_in: SignIn, path: str) -> None:
    sign_in(client, alice)  # A1 A10
    asked = client.get(path)["Location"]
    assert asked.startswith("/accounts/reauthenticate/?next=%2F")
    assert client.post(asked, {"password": "not-it-at-all"}).status_code == 200
    assert client.get(path).status_code == 302
    assert client.post(asked, {"password": PASSWORD})["Location"] == path


@pytest.mark.parametrize("path", GUARDED)
def test_an_account_without_one_is_asked_for_a_code_by_email(
    client: Client, passwordless: User, sign_in: SignIn, path: str
) -> None:  # A1 A10
    sign_in(client, passwordless)
    asked = client.get(path)["Location"]
    assert asked.startswith("/accounts/reauthenticate/code/?next=%2F")
    assert passwordless.email in client.get(asked).content.decode()
    client.post(asked, {"action": "resend"})
    answer = client.post(asked, {"code": code_from_mail()})
    assert answer["Location"] == path
    assert client.get(path).status_code == 200


def test_three_wrong_codes_end_it(client: Client, passwordless: User, sign_in: SignIn) -> None:  # A9
    sign_in(client, passwordless)
    path = "/accounts/reauthenticate/code/"
    client.post(path, {"action": "resend"})
    code = code_from_mail()
    for _ in range(3):
        client.post(path, {"code": "AAAA-AAAA"})
    client.post(path, {"code": code})
    assert client.get("/dashboard/account/delete").status_code == 302


def test_a_code_is_good_for_ten_minutes(
    client: Client, passwordless: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A9
    sign_in(client, passwordless)
    path = "/accounts/reauthenticate/code/"
    client.post(path, {"action": "resend"})
    code = code_from_mail()
    pass_time(minutes=11)
    client.post(path, {"code": code})
    assert client.get("/dashboard/account/delete").status_code == 302


def test_a_code_of_one_account_is_worth_nothing_to_another(
    client: Client, passwordless: User, charlie: User, sign_in: SignIn
) -> None:  # A1
    """The flow's session outlives a change of accounts in the same browser."""
    charlie.set_unusable_password()
    charlie.save()
    path = "/accounts/reauthenticate/code/"
    sign_in(client, charlie)
    client.post(path, {"action": "resend"})
    code = code_from_mail()
    sign_in(client, passwordless)
    client.post(path, {"code": code})
    assert client.get("/dashboard/account/delete").status_code == 302


def test_a_new_code_says_what_it_did_and_when_there_may_be_another(
    client: Client, passwordless: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A1 A9
    sign_in(client, passwordless)
    path = "/accounts/reauthenticate/code/?next=/dashboard/account/delete"

    def resend() -> str:
        return re.sub(r"</?strong>", "", client.post(path, {"action": "resend"}, follow=True).content.decode())

    assert f"If {passwordless.email} can receive it, a code is on its way." in resend()
    assert "a moment ago. You can ask for another in 30 seconds." in resend()
    first = code_from_mail()
    pass_time(seconds=31)
    assert f"We sent a new code to {passwordless.email}; the earlier one no longer works." in resend()
    assert "2 tries left" in client.post(path, {"code": first}).content.decode()
    pass_time(minutes=11)
    assert "This code has expired" in client.post(path, {"code": code_from_mail()}).content.decode()
    resend()
    assert client.post(path, {"code": code_from_mail()})["Location"] == "/dashboard/account/delete"


def test_codes_are_limited(client: Client, passwordless: User, sign_in: SignIn, pass_time: PassTime) -> None:  # A9
    sign_in(client, passwordless)
    for _ in range(5):
        client.post("/accounts/reauthenticate/code/", {"action": "resend"})
        pass_time(seconds=31)
    assert len(delivered()) == 3


@pytest.mark.parametrize("password", [True, False])
def test_cancel_leads_back_to_the_page_before(client: Client, alice: User, sign_in: SignIn, password: bool) -> None:
    if not password:  # N1
        alice.set_unusable_password()
        alice.save()
    sign_in(client, alice)
    for referer, back in (
        ("http://testserver/dashboard/account/data?x=1", "/dashboard/account/data"),
        ("http://testserver//evil.example/", "/dashboard/account/security"),
        ("https://evil.example/dashboard", "/dashboard/account/security"),
        ("", "/dashboard/account/security"),
    ):
        asked = client.get("/dashboard/account/delete", headers={"Referer": referer})["Location"]
        assert f'<a class="button button-ghost" href="{back}">Cancel</a>' in client.get(asked).content.decode()


def test_reauthentication_runs_out(client: Client, alice: User, sign_in: SignIn, pass_time: PassTime) -> None:  # A1
    sign_in(client, alice)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert client.get("/dashboard/account/delete").status_code == 200
    pass_time(minutes=16)
    assert client.get("/dashboard/account/delete").status_code == 302


def test_whoever_has_a_password_can_not_choose_the_code_instead(client: Client, alice: User, sign_in: SignIn) -> None:
    sign_in(client, alice)  # A1
    assert client.get("/accounts/reauthenticate/code/")["Location"].startswith("/accounts/reauthenticate/?next=")


@pytest.mark.parametrize("next_", ["https://evil.example/", "//evil.example"])
def test_reauthentication_never_leads_to_another_site(
    client: Client, passwordless: User, sign_in: SignIn, next_: str
) -> None:
    sign_in(client, passwordless)  # N1
    asked = f"/accounts/reauthenticate/code/?next={next_}"
    client.post(asked, {"action": "resend"})
    assert client.post(asked, {"code": code_from_mail()})["Location"] == "/dashboard/credits"


def test_a_new_email_takes_the_place_of_the_old_one_which_is_told(
    client: Client, alice: User, sign_in: SignIn
) -> None:  # A10
    sign_in(client, alice)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.post("/accounts/email/", {"email": "new@example.com", "action_add": ""})
    assert User.objects.get().email == alice.email
    code = code_from_mail()
    assert delivered()[-1].to == ["new@example.com"]
    client.post("/accounts/confirm-email/", {"code": code})
    assert User.objects.get().email == "new@example.com"
    assert EmailAddress.objects.get().email == "new@example.com"
    assert delivered()[-1].to == [alice.email]
    assert "new@example.com" in str(delivered()[-1].body)


def test_an_address_of_another_account_is_not_taken_over(
    client: Client, alice: User, charlie: User, sign_in: SignIn
) -> None:  # A9 A10
    sign_in(client, alice)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.post("/accounts/email/", {"email": charlie.email, "action_add": ""})
    assert User.objects.get(id=alice.id).email == alice.email
    assert EmailAddress.objects.filter(email=charlie.email).count() == 1
