"""One address has many spellings, at every door; and fields tell browsers and phones what they are for."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.db import connection
from django.test import Client

from sidekick.accounts.models import Letter, User
from tests.conftest import PASSWORD
from tests.post import delivered
from tests.sidekick.test_email_addresses import SPELLINGS

pytestmark = pytest.mark.urls("tests.sidekick.accounts.urls")

SignIn = Callable[[Client, User], None]


def signed_in_as(client: Client) -> str:
    answer: str = client.get("/test/who").json()["user"]
    return answer


@pytest.mark.parametrize("typed", SPELLINGS)
def test_every_spelling_signs_in(client: Client, alice: User, typed: str) -> None:  # A1
    client.post("/accounts/login/", {"login": typed, "password": PASSWORD})
    assert signed_in_as(client) == alice.email


@pytest.mark.parametrize("typed", SPELLINGS)
def test_no_spelling_makes_a_second_account(client: Client, alice: User, typed: str) -> None:  # A1
    client.post("/accounts/signup/", {"email": typed, "password1": PASSWORD})
    assert User.objects.get() == alice
    assert "You already have a Sidekick account" in str(delivered()[-1].body)


def test_a_new_account_is_stored_in_one_spelling(client: Client) -> None:  # A1
    client.post("/accounts/signup/", {"email": "Max\u200b@B\u00fccher.example ", "password1": PASSWORD})
    assert User.objects.get().email == "max@xn--bcher-kva.example"
    assert EmailAddress.objects.get().email == "max@xn--bcher-kva.example"


@pytest.mark.parametrize("path", ["/accounts/login/code/", "/accounts/password/reset/"])
@pytest.mark.parametrize("typed", SPELLINGS)
def test_codes_go_to_the_stored_address_whatever_was_typed(
    client: Client, alice: User, path: str, typed: str
) -> None:  # A1 A9
    client.post(path, {"email": typed})
    (message,) = delivered()
    assert message.to == [alice.email]
    assert re.search(r"\d{4}-\d{4}", str(message.body))


def test_spellings_share_the_limits_of_their_address(alice: User) -> None:  # A9
    answers = [Client().post("/accounts/password/reset/", {"email": typed}).status_code for typed in SPELLINGS[:4]]
    assert answers == [302, 302, 302, 429]


@pytest.mark.parametrize("typed", ["Ne\u200bw@Example.com", "char\u2060lie@example.com"])
def test_a_changed_email_is_stored_in_one_spelling(
    client: Client, alice: User, charlie: User, sign_in: SignIn, typed: str
) -> None:  # A10
    sign_in(client, alice)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.post("/accounts/email/", {"email": typed, "action_add": ""})
    message = delivered()[-1]
    assert message.to in (["new@example.com"], [charlie.email])
    found = re.search(r"\d{4}-\d{4}", str(message.body))
    assert found
    client.post("/accounts/confirm-email/", {"code": found[0]})
    # An address of another account stays there, in whatever spelling it is asked for.
    expected = alice.email if message.to == [charlie.email] else "new@example.com"
    assert User.objects.get(id=alice.id).email == expected
    assert set(EmailAddress.objects.values_list("email", flat=True)) == {expected, charlie.email}


@pytest.mark.parametrize("typed", SPELLINGS)
def test_the_api_takes_the_same_spellings(client: Client, alice: User, typed: str) -> None:  # A8
    body = {"email": typed, "password": PASSWORD}
    assert client.post("/api/v1/auth/token", body, "application/json").status_code == 200


def test_operators_and_commands_find_an_account_by_any_spelling(alice: User) -> None:  # O1
    for typed in SPELLINGS:
        assert User.objects.named(typed) == alice
    assert User.objects.named("nobody") is None


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/accounts/login/", "login"),
        ("/accounts/signup/", "email"),
        ("/accounts/login/code/", "email"),
        ("/accounts/password/reset/", "email"),
    ],
)
def test_a_refused_address_is_told_why_beside_its_field(client: Client, path: str, field: str) -> None:  # A1
    form = {field: "jörg@example.com", "password": "x" * 12, "password1": PASSWORD}
    html = client.post(path, form, follow=True).content.decode()
    assert "We can’t send email to a name with “ö” before the @." in html
    assert f'id="id_{field}_error"' in html
    form[field] = "\u200b"
    assert "This field is required." in client.post(path, form).content.decode()
    assert Letter.objects.count() == 0


@pytest.mark.django_db
def test_stored_addresses_are_respelled_once() -> None:  # A1
    migration = importlib.import_module("sidekick.accounts.migrations.0007_one_spelling_of_emails")
    for email in ("max@bücher.example", "eva@straße.example", "kevin@bücher.example", "kevin@xn--bcher-kva.example"):
        user = User.objects.create(email=email)
        EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    strange = User.objects.create(email="mıke@example.com")
    with connection.schema_editor() as editor:
        migration.respell(apps, editor)
    kept = {"kevin@bücher.example", "kevin@xn--bcher-kva.example", strange.email}
    expected = {"max@xn--bcher-kva.example", "eva@xn--strae-oqa.example", *kept}
    assert set(User.objects.values_list("email", flat=True)) == expected
    assert set(EmailAddress.objects.values_list("email", flat=True)) == expected - {strange.email}
