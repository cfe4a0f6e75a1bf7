"""Signing in with Google and GitHub, against a provider on this machine that speaks OAuth 2 over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal import auth
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.test import Client
from pytest_django import Settings

from sidekick.accounts.models import User
from sidekick.serving import shares
from sidekick.serving.shares import EXTERNAL_SERVICES
from tests.conftest import PASSWORD
from tests.sidekick.accounts import providers
from tests.sidekick.accounts.providers import Provider
from tests.sidekick.accounts.test_sign_in import signed_in_as
from tests.sidekick.test_settings import PRODUCTION, start

pytestmark = pytest.mark.urls("tests.sidekick.accounts.urls")

SignIn = Callable[[Client, User], None]
GRETA = {"sub": "g-1", "email": "Greta@example.com", "email_verified": True, "given_name": "Greta", "family_name": "G"}


@pytest.fixture
def provider(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with providers.opened(settings, monkeypatch) as opened:
        opened.person = dict(GRETA)
        yield opened


def go(client: Client, name: str = "google", **fields: str) -> Any:
    """Press the button, let the provider send us back, and answer what the dashboard answers to that."""
    sent = client.post(f"/accounts/{name}/login/", fields)
    assert sent.status_code == 302, sent.content
    back = requests.get(sent["Location"], allow_redirects=False, timeout=5)
    return client.get(back.headers["Location"])


def reauthenticate(client: Client) -> None:
    assert client.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302


def test_google_makes_an_account_with_the_address_it_vouches_for(client: Client, provider: Provider) -> None:  # A1 A10
    response = go(client, next="/dashboard/billing", time_zone="Europe/Vienna")
    assert response["Location"] == "/dashboard/billing"
    user = User.objects.get()
    assert (user.email, user.name, user.time_zone) == ("greta@example.com", "Greta G", "Europe/Vienna")
    assert not user.has_usable_password()
    assert EmailAddress.objects.filter(user=user).values_list("email", "verified", "primary").get() == (
        "greta@example.com",
        True,
        True,
    )
    assert signed_in_as(client) == "greta@example.com"
    assert not SocialToken.objects.exists()


def test_the_same_account_opens_again_whatever_its_address_is_by_then(client: Client, provider: Provider) -> None:  # A1
    go(client)
    provider.person["email"] = "another@example.com"
    other = Client()
    go(other)
    assert signed_in_as(other) == "greta@example.com"


def test_github_gives_the_primary_of_the_addresses_it_verified(client: Client, provider: Provider) -> None:  # A1
    provider.person = {"id": 7, "login": "gg", "name": "Greta", "email": "public@example.com"}
    provider.emails = [
        {"email": "public@example.com", "primary": False, "verified": False},
        {"email": "second@example.com", "primary": False, "verified": True},
        {"email": "first@example.com", "primary": True, "verified": True},
    ]
    go(client, "github")
    assert signed_in_as(client) == "first@example.com"
    assert EmailAddress.objects.get().email == "first@example.com"


def test_an_address_that_was_not_verified_makes_no_account(client: Client, provider: Provider) -> None:  # A1
    provider.person["email_verified"] = False
    response = go(client)
    assert (response.status_code, User.objects.count()) == (409, 0)
    assert "isn’t verified" in response.content.decode()


@pytest.mark.parametrize("name", ["ａlice", "al\u200bice", "alice\u00ad", "\u017fara", "ali\u212ae"])
def test_an_address_that_only_looks_like_anothers_makes_no_account_of_it(
    client: Client, provider: Provider, name: str
) -> None:  # A1 A9
    """Google verified "ａlice", which is another mailbox than "alice"."""
    provider.person["email"] = f"{name}@example.com"
    assert go(client).status_code == 409
    assert not User.objects.exists()


def test_github_vouches_for_no_lookalike_either(client: Client, provider: Provider) -> None:  # A1 A9
    provider.person = {"id": 7, "login": "gg"}
    provider.emails = [{"email": "\u017fara@example.com", "primary": True, "verified": True}]
    assert go(client, "github").status_code == 409
    assert not User.objects.exists()


def test_a_name_of_invisible_characters_is_none(client: Client, provider: Provider) -> None:  # A10
    provider.person |= {"given_name": "\u200b", "family_name": "\u00ad"}
    go(client)
    assert User.objects.get().name == ""


@pytest.mark.parametrize("verified", [True, False])
def test_an_account_is_never_taken_over_by_its_address(
    client: Client, alice: User, provider: Provider, verified: bool
) -> None:  # A1
    """The way in is to sign in as before, and to connect the provider there."""
    EmailAddress.objects.update(verified=verified)
    provider.person["email"] = "ALICE@example.com"
    response = go(client)
    assert response.status_code == 409
    assert "You have an account already" in response.content.decode()
    assert signed_in_as(client) == "AnonymousUser"
    assert not SocialAccount.objects.exists()


@pytest.mark.parametrize("password", [True, False])
def test_connecting_begins_with_reauthentication(
    client: Client, alice: User, provider: Provider, sign_in: SignIn, password: bool
) -> None:  # A1
    if not password:
        alice.set_unusable_password()
        alice.save()
    sign_in(client, alice)
    asked = client.post("/accounts/google/login/", {"process": "connect"})
    assert asked["Location"].startswith("/accounts/reauthenticate/")


def test_what_is_connected_opens_the_account_from_then_on(
    client: Client, alice: User, provider: Provider, sign_in: SignIn
) -> None:  # A1
    sign_in(client, alice)
    reauthenticate(client)
    assert go(client, process="connect")["Location"] == "/accounts/social/"
    assert SocialAccount.objects.get().user == alice
    other = Client()
    go(other)
    assert signed_in_as(other) == alice.email


def test_what_is_connected_to_one_account_is_not_connected_to_another(
    client: Client, alice: User, charlie: User, provider: Provider, sign_in: SignIn
) -> None:  # A1
    SocialAccount.objects.create(user=charlie, provider="google", uid="g-1")
    sign_in(client, alice)
    reauthenticate(client)
    go(client, process="connect")
    assert SocialAccount.objects.get().user == charlie
    assert signed_in_as(client) == alice.email


def test_ending_a_connection_needs_reauthentication_without_a_password_too(
    client: Client, alice: User, provider: Provider, sign_in: SignIn
) -> None:  # A1
    alice.set_unusable_password()
    alice.save()
    mine = SocialAccount.objects.create(user=alice, provider="google", uid="g-1")
    sign_in(client, alice)
    answer = client.post(f"/accounts/social/{mine.pk}/disconnect")
    assert answer["Location"].startswith("/accounts/reauthenticate/code/")
    assert SocialAccount.objects.exists()


def test_only_ones_own_connection_is_ended_and_only_after_reauthentication(
    client: Client, alice: User, charlie: User, provider: Provider, sign_in: SignIn
) -> None:  # A1
    mine = SocialAccount.objects.create(user=alice, provider="google", uid="g-1")
    theirs = SocialAccount.objects.create(user=charlie, provider="google", uid="g-2")
    sign_in(client, alice)
    assert client.post(f"/accounts/social/{mine.pk}/disconnect")["Location"].startswith("/accounts/reauthenticate/")
    reauthenticate(client)
    assert client.post(f"/accounts/social/{theirs.pk}/disconnect").status_code == 404
    assert client.get(f"/accounts/social/{mine.pk}/disconnect").status_code == 405
    assert SocialAccount.objects.count() == 2
    client.post(f"/accounts/social/{mine.pk}/disconnect")
    assert SocialAccount.objects.get() == theirs


def test_the_second_factor_is_asked_for_after_google_as_well(
    client: Client, alice: User, provider: Provider
) -> None:  # A1
    SocialAccount.objects.create(user=alice, provider="google", uid="g-1")
    auth.TOTP.activate(alice, auth.generate_totp_secret())
    assert go(client)["Location"] == "/accounts/2fa/authenticate/"
    assert signed_in_as(client) == "AnonymousUser"


def test_an_answer_for_another_browser_is_refused(client: Client, provider: Provider) -> None:  # A1
    """The state is kept by the browser that asked: nobody is signed in to somebody else's account by a link."""
    sent = client.post("/accounts/google/login/")
    back = requests.get(sent["Location"], allow_redirects=False, timeout=5)
    answer = Client().get(back.headers["Location"])
    assert answer.status_code == 401
    assert "Signing in didn’t work" in answer.content.decode()
    assert not User.objects.exists()


def test_nothing_starts_by_following_a_link(client: Client, provider: Provider) -> None:  # A1
    page = client.get("/accounts/google/login/")
    assert page.status_code == 200
    assert "Continue with Google" in page.content.decode()


def test_whoever_stops_half_way_is_told_so(client: Client, provider: Provider) -> None:  # A1
    provider.refuses = True
    answer = go(client)
    assert answer["Location"] == "/accounts/social/login/cancelled/"
    assert "You are not signed in" in client.get(answer["Location"]).content.decode()


def test_while_others_wait_for_providers_a_sign_in_is_told_at_once(
    client: Client, provider: Provider, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:  # A1 O6
    settings.WEB_THREADS = 1
    monkeypatch.setattr(shares._thread, "serves_pages", True, raising=False)
    with EXTERNAL_SERVICES.place():
        answer = go(client)
    assert "Signing in didn’t work" in answer.content.decode()
    assert go(client)["Location"] == "/dashboard/credits"


def test_buttons_stand_where_keys_are_set(client: Client, provider: Provider) -> None:  # A1
    for path in ("/accounts/login/", "/accounts/signup/"):
        html = client.get(path).content.decode()
        assert '<form method="post" action="/accounts/google/login/?process=login">' in html
        assert "Continue with GitHub" in html


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/google/login/",
        "/accounts/google/login/callback/",
        "/accounts/google/login/token/",
        "/accounts/github/login/",
        "/accounts/github/login/callback/",
    ],
)
def test_without_keys_nothing_is_offered(client: Client, path: str) -> None:  # A1
    assert client.get(path).status_code == 404
    assert client.post(path).status_code == 404
    assert "Continue with" not in client.get("/accounts/login/").content.decode()


def test_a_row_of_the_database_makes_no_provider(client: Client, alice: User) -> None:  # A1
    SocialApp.objects.create(provider="google", name="Google", client_id="x", secret="y")
    assert "Continue with" not in client.get("/accounts/login/").content.decode()
    assert client.post("/accounts/google/login/").status_code == 404


@pytest.mark.parametrize(
    "name", ["GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"]
)
def test_one_key_without_the_other_stops_the_start(name: str) -> None:
    refused = start(**PRODUCTION, **{name: "x"})
    assert "set both or none" in refused.stderr


def test_only_a_provider_that_is_set_may_be_gone_to() -> None:  # N8
    shown = 'CONTENT_SECURITY_POLICY["DIRECTIVES"]["form-action"]'
    assert "google" not in start(shown, **PRODUCTION).stdout
    keys = {"GOOGLE_CLIENT_ID": "x", "GOOGLE_CLIENT_SECRET": "y"}
    both = start(shown, **PRODUCTION, **keys).stdout
    assert "https://accounts.google.com" in both
    assert "github" not in both
