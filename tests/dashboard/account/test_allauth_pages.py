"""allauth's pages in our design. What they do is tested with the accounts."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client

from sidekick.accounts.models import User
from tests.conftest import PASSWORD
from tests.post import delivered

pytestmark = pytest.mark.django_db

ENTRANCES = {
    "/accounts/login/": "Sign in",
    "/accounts/signup/": "Create your account",
    "/accounts/login/code/": "Sign in by email",
    "/accounts/password/reset/": "Reset your password",
}


@pytest.mark.parametrize("path", ENTRANCES)
def test_entrances_wear_our_design_and_label_every_field(client: Client, path: str) -> None:  # A1 N8
    html = client.get(path).content.decode()
    assert f'<h1 tabindex="-1">{ENTRANCES[path]}</h1>' in html
    fields = re.findall(r'<input (?![^>]*type="hidden")[^>]*id="([^"]+)"', html)
    assert fields
    for field in fields:
        assert f'<label for="{field}"' in html


def test_a_refused_sign_in_takes_the_focus_and_keeps_the_email(client: Client) -> None:  # A1 N8
    form = {"login": "alice@example.com", "password": "not-the-password"}
    html = client.post("/accounts/login/", form).content.decode()
    assert re.search(r'class="error-summary" role="alert" tabindex="-1" autofocus', html)
    assert 'value="alice@example.com"' in html
    assert "not-the-password" not in html


def test_an_error_stands_beside_its_field_too(client: Client) -> None:  # A1 N8
    html = client.post("/accounts/signup/", {"email": "not an email", "password1": PASSWORD}).content.decode()
    assert 'aria-invalid="true"' in html
    assert 'id="id_email_error"' in html
    described = re.search(
        r'id="id_email"[^>]*aria-describedby="([^"]*)"|aria-describedby="([^"]*)"[^>]*id="id_email"', html
    )
    assert described
    assert "id_email_error" in (described[1] or described[2])


def test_next_survives_from_page_to_page(client: Client) -> None:  # N1 A3
    html = client.get("/accounts/login/?next=/dashboard/billing").content.decode()
    assert '<input type="hidden" name="next" value="/dashboard/billing">' in html
    assert "/accounts/signup/?next=%2Fdashboard%2Fbilling" in html
    assert "/accounts/login/code/?next=%2Fdashboard%2Fbilling" in html


@pytest.mark.parametrize("path", ENTRANCES)
def test_every_way_on_keeps_next(client: Client, path: str) -> None:  # N1 A3
    html = client.get(f"{path}?next=/dashboard/billing").content.decode()
    links = re.findall(r'<a [^>]*href="(/accounts/[^"]*)"', html[html.index("<main") : html.index("</main>")])
    assert links
    assert [link for link in links if "next=%2Fdashboard%2Fbilling" not in link] == []


def test_development_tells_the_demo_sign_ins(client: Client) -> None:  # S1
    html = client.get("/accounts/login/").content.decode()
    for words in ("free@example.com", "starter@example.com", "pro@example.com", "operator@example.com", "/dev/mail"):
        assert words in html


def test_a_code_arrives_in_plain_words_and_opens_the_door(client: Client, alice: User) -> None:  # A1
    asked = client.post("/accounts/login/code/", {"email": alice.email}, follow=True)
    html = asked.content.decode()
    assert "Enter your sign-in code" in html
    assert 'autocomplete="one-time-code"' in html
    (message,) = delivered()
    assert message.subject == "Your Sidekick sign-in code"
    found = re.search(r"^    (\S+)$", str(message.body), re.MULTILINE)
    assert found
    answer = client.post("/accounts/login/code/confirm/", {"code": found[1]})
    assert answer.headers["Location"] == "/dashboard/credits"


def test_account_pages_stand_in_the_dashboard(
    client: Client, alice: User, sign_in: Callable[[Client, User], None]
) -> None:  # A1
    sign_in(client, alice)
    html = client.get("/accounts/password/change/", follow=True).content.decode()
    assert 'id="tabs"' in html
    assert "Change password" in html
