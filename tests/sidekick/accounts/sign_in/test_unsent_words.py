"""A report posted without a session is there again once its author has signed in, without a script too."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from feedback.models import Report
from sidekick.accounts.models import User
from sidekick.accounts.stamps.stamp import stamp_of
from tests.conftest import PASSWORD, make_user
from tests.feedback.reports import BUG, FEATURE, SWAP, WORDS, post, upload

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _attempts_are_forgotten() -> None:
    cache.clear()


def sent_without_session(client: Client, author: User, path: str = BUG, **changes: Any) -> str:
    """Returns the address of the sign-in page that it leads to."""
    answer = post(client, path, account_stamp=stamp_of(author), **changes)
    assert answer.status_code == 302
    return str(answer["Location"])


def stored() -> list[Any]:
    found = (session.get_decoded().get("unsent_words") for session in Session.objects.all())
    return [words for words in found if words]


def comes_back(client: Client, user: User, address: str = "/accounts/login/", path: str = BUG) -> str:
    client.post(address, {"login": user.email, "password": PASSWORD})
    response = client.get(path)
    assert response.status_code == 200
    return str(response.content.decode())


def test_words_are_there_until_they_are_sent(client: Client, alice: User) -> None:  # F3 A3
    address = sent_without_session(client, alice, app_version="2.4", token="x", csrfmiddlewaretoken="secret")
    html = comes_back(client, alice, address)
    for word in ('value="The chart is empty"', "The chart had no bars.", 'value="2.4"'):
        assert word in html
    assert re.search(r'value="high"[^>]* checked', html)
    assert "Your session ended before this was sent. Your words are here again; choose your images anew." in html
    # A reload or another page takes nothing away, and the other kind has words of its own.
    assert "The chart is empty" in comes_back(client, alice)
    assert "The chart is empty" not in client.get(FEATURE).content.decode()
    post(client)
    assert Report.objects.get().title == WORDS["title"]
    assert "The chart is empty" not in client.get(BUG).content.decode()
    assert not stored()


def test_another_account_never_sees_them(client: Client, alice: User, charlie: User) -> None:  # F3 A4
    sent_without_session(client, alice)
    assert "The chart is empty" not in comes_back(client, charlie)
    # Not even its author, in a browser that somebody else has signed in to since.
    assert "The chart is empty" not in comes_back(client, alice)
    assert not stored()


def test_only_the_words_of_the_form_are_kept_and_only_so_many(client: Client, alice: User) -> None:  # F3
    long = "x" * 60_000
    sent_without_session(client, alice, description=long, title=long, card="4242", images=[upload(b"x" * 900)])
    (kept,) = stored()
    assert kept["words"].keys() == {"title", "description", "priority"}
    assert max(map(len, kept["words"].values())) == 10_000
    assert kept["path"] == BUG


@pytest.mark.parametrize("named", ["", "x" * 100])
def test_a_form_that_names_nobody_is_not_kept(client: Client, alice: User, named: str) -> None:  # F3
    post(client, account_stamp=named)
    assert "The chart is empty" not in comes_back(client, alice)


def test_a_swap_keeps_nothing_here_because_its_browser_does(client: Client, alice: User) -> None:  # F3
    post(client, account_stamp=stamp_of(alice), headers=SWAP)
    assert not stored()


def test_a_stranger_fills_no_table(client: Client, alice: User) -> None:
    for _ in range(30):
        post(Client(), account_stamp=stamp_of(alice))
    assert len(stored()) == 20


def test_signing_out_forgets_them(client: Client, alice: User) -> None:  # F3 A5
    sent_without_session(client, alice)
    comes_back(client, alice)
    assert client.post(reverse("logout")).status_code == 302
    assert "The chart is empty" not in comes_back(client, alice)


def test_without_a_csrf_token_nothing_is_kept() -> None:  # A3
    post(Client(enforce_csrf_checks=True), account_stamp=stamp_of(make_user("dora@example.com")))
    assert not stored()
