"""Every address below /accounts/: it wears our design, or it isn't there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from sidekick.accounts.models import Letter, User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db

SignIn = Callable[[Client, User], None]
# A file, and what a script asks for.
NO_PAGES = {"mfa_download_recovery_codes", "mfa_login_webauthn"}
ENTRANCE, SHELL = '<div class="entrance-card', '<ul id="tabs"'


def addresses(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, str]]:
    for pattern in resolver.url_patterns:
        path = prefix + re.sub(r"<[^>]+>", "1", str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern, path)
        elif isinstance(pattern, URLPattern) and path.startswith("accounts/"):
            yield pattern.name or "", f"/{path}"


EVERY = sorted({path for name, path in addresses(get_resolver()) if name not in NO_PAGES})


EMAILS = {"username webauthn", "username", "email", "off"}


class Inputs(HTMLParser):
    """The visible fields of a page's own forms, by their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "input" and found.get("type") not in {"hidden", "checkbox", "radio", "file", "range", "submit"}:
            self.found.append(found)


def check_inputs(html: str) -> list[str]:
    """Browsers and phones know what each field is for: they fill it in, and show the keys that it needs."""
    inputs = Inputs(html[html.index("<main") :]).found
    for found in inputs:
        name, purpose = found["name"], found.get("autocomplete")
        assert purpose, found
        if found.get("type") == "password":
            assert purpose == ("new-password" if name in {"password1", "password2"} else "current-password"), found
        elif name == "code":
            assert (purpose, found.get("inputmode")) == ("one-time-code", "numeric"), found
        elif name in {"login", "email"}:
            assert purpose in EMAILS, found
            assert (found.get("inputmode"), found.get("autocapitalize")) == ("email", "none"), found
        elif name == "username":
            assert purpose == "username", found
    # Password managers store a password with the name it belongs to.
    if any(found.get("type") == "password" for found in inputs) and "tabs" in html:
        assert any("username" in found["autocomplete"] or found["name"] == "email" for found in inputs)
    return [found["name"] for found in inputs]


def check(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code in {200, 302, 401, 404, 405}, path
    if response.status_code in {200, 401}:
        html = response.content.decode()
        assert ENTRANCE in html or SHELL in html, path
        assert re.search(r'<h1 tabindex="-1">[^<]+</h1>', html), path
        # allauth's own words, which none of ours repeats.
        check_inputs(html)
        assert not re.search("Third-Party|Two-Factor|Security Key|Sign Up|Sign In|Activate|Deactivate", html), path


def test_there_are_many() -> None:
    assert len(EVERY) > 30


@pytest.mark.parametrize("path", EVERY)
def test_a_visitor_finds_our_design(client: Client, path: str) -> None:  # A1 N8
    check(client, path)


@pytest.mark.parametrize("path", EVERY)
@pytest.mark.parametrize("factors", [True, False])
def test_a_customer_finds_our_design(
    client: Client, alice: User, sign_in: SignIn, path: str, factors: bool
) -> None:  # A1 N8
    if factors:
        Authenticator.objects.create(user=alice, type="totp", data={"secret": ""})
        RecoveryCodes.activate(alice)
    sign_in(client, alice)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    check(client, path)


def test_a_new_password_is_asked_for_twice(client: Client, alice: User, sign_in: SignIn) -> None:
    sign_in(client, alice)
    labels = re.findall(r"<label[^>]*>([^<]+)", client.get("/accounts/password/change/").content.decode())
    assert [label.strip() for label in labels][-2:] == ["New password", "New password, again"]


def test_a_page_says_how_long_its_code_is_valid(client: Client, alice: User) -> None:  # A1
    def told(path: str, form: dict[str, str]) -> tuple[str, str]:
        html = client.post(path, form, follow=True).content.decode()
        email = Letter.objects.latest("created_at")
        page, body = (re.search(r"valid for (\d+) minutes", words) for words in (html, email.text))
        assert page
        assert body
        assert f"valid for {page[1]} minutes" in email.html
        return page[1], body[1]

    assert told("/accounts/login/code/", {"email": alice.email}) == ("10", "10")
    assert told("/accounts/password/reset/", {"email": alice.email}) == ("10", "10")
    assert told("/accounts/signup/", {"email": "new@example.com", "password1": PASSWORD}) == ("15", "15")


def test_the_walk_meets_every_kind_of_field(client: Client, alice: User, sign_in: SignIn) -> None:  # A1 N8
    """It looks at nothing else, if a page is renamed."""
    html = client.get("/accounts/login/").content.decode()
    assert check_inputs(html) == ["login", "password"]
    assert 'autocomplete="username webauthn"' in html
    assert check_inputs(client.get("/accounts/signup/").content.decode()) == ["email", "password1"]
    code = client.post("/accounts/login/code/", {"email": alice.email}, follow=True)
    assert check_inputs(code.content.decode()) == ["code"]
    sign_in(client, alice)
    profile = client.get("/dashboard/account").content.decode()
    assert check_inputs(profile) == ["name"]
    assert re.search(r'name="name"[^>]* autocomplete="name"', profile)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert check_inputs(client.get("/dashboard/account/delete").content.decode()) == ["email"]
    assert check_inputs(client.get("/accounts/2fa/totp/activate/").content.decode()) == ["code"]
