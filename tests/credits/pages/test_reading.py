"""An open page asks with what it shows: 304 while that is true, and all of its regions when anything changed (C12)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from credits.ledger import grants
from credits.models import Grant
from credits.usage import recording
from sidekick.accounts.models import User
from tests.credits.books import NOW, event, use

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
SignIn = Callable[[Client, User], None]
BASE = "/dashboard/credits"
PAGES = [
    BASE,
    f"{BASE}?page=2",
    f"{BASE}?range=7d&model=gpt-5",
    f"{BASE}?range=custom&from=2026-05-10&to=2026-05-10&page=2",
    f"{BASE}?range=custom&from=2001-01-01&to=2001-02-01",
    f"{BASE}/models",
    f"{BASE}/models?range=90d&sort=model",
    f"{BASE}/models?model=gpt-5&sort=-requests",
    f"{BASE}/history",
    f"{BASE}/history?range=7d&model=gpt-5",
    f"{BASE}/history?range=custom&from=2001-01-01&to=2030-01-01",
]
DAY = timedelta(days=1)


@pytest.fixture
def used(alice: User) -> User:
    """Requests of two models over three days."""
    events = [
        event(alice, f"r{n:02d}", model=("gpt-5", "gpt-5-mini")[n % 2], occurred_at=NOW - timedelta(minutes=97 * n))
        for n in range(45)
    ]
    recording.record(events, now=NOW)
    return alice


def regions(html: str) -> dict[str, str]:
    """The tag of each region of a page, by id."""
    found = re.findall(r'id="([\w-]+)"(?: hx-swap-oob="true")?(?: data-live="[^"]*" data-live-every="30")? '
                       r'data-live-tag="([^"]*)"', html)  # fmt: skip
    return {name: unescape(tag) for name, tag in found}


def opened(client: Client, path: str) -> tuple[str, dict[str, str]]:
    """The address that an open page asks, and the tags of what it shows."""
    html = client.get(path).content.decode()
    address = re.search(r'data-live="([^"]+)"', html)
    assert address
    return unescape(address[1]), regions(html)


def poll(client: Client, address: str, tag: str) -> Any:
    return client.get(address, headers={"If-None-Match": tag, "Sidekick-Poll": "1", "HX-Request": "true"})


@pytest.mark.parametrize("path", PAGES)
def test_a_page_on_which_nothing_changed_is_304_for_three_queries(browser: Client, used: User, path: str) -> None:
    address, tags = opened(browser, path)
    with CaptureQueriesContext(connection) as asked:
        assert poll(browser, address, tags["balance"]).status_code == 304
    # One for the session, one for the balance, one for the sums.
    assert len(asked) == 3


@pytest.mark.parametrize("path", PAGES)
def test_a_poll_brings_the_regions_of_the_page_as_they_are(browser: Client, used: User, path: str) -> None:  # C10
    address, tags = opened(browser, path)
    html = browser.get(address).content.decode()
    assert set(regions(html)) == {"balance", "period", "usage-filters", "usage"}
    assert regions(html) == tags
    assert "hx-swap-oob" not in html
    assert "<html" not in html


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("credits", [0, 3])
def test_a_new_request_is_news_even_a_free_one(browser: Client, used: User, path: str, credits: int) -> None:
    address, tags = opened(browser, path)
    use(used, credits, at=NOW - timedelta(minutes=1))
    answer = poll(browser, address, tags["balance"])
    outside = "2001-02-01" in path
    assert answer.status_code == (304 if outside and not credits else 200)
    if answer.status_code == 200:
        now = regions(answer.content.decode())
        assert now["balance"] != tags["balance"]
        # It is not of the model or of the days that these pages show; the page of a model follows that model.
        assert (now["usage"] == tags["usage"]) == (outside or ("model=" in path and "history" not in path))
        assert regions(browser.get(path).content.decode()) == now


def test_a_gift_is_news_of_the_cards_and_of_history_alone(browser: Client, used: User) -> None:
    before = {path: opened(browser, path) for path in (BASE, f"{BASE}/models", f"{BASE}/history")}
    grants.grant(used.id, Decimal(5), kind=Grant.Kind.COURTESY, source_key="gift", now=NOW)
    for path, (address, tags) in before.items():
        now = regions(poll(browser, address, tags["balance"]).content.decode())
        assert (now["usage"] != tags["usage"]) == path.endswith("history")
        assert now["balance"] != tags["balance"]


def test_the_last_days_move_on_at_midnight(
    browser: Client, used: User, clock: time_machine.Traveller, sign_in: SignIn
) -> None:
    address, tags = opened(browser, f"{BASE}/models?range=90d")
    clock.shift(DAY)
    sign_in(browser, used)
    assert regions(poll(browser, address, tags["balance"]).content.decode())["usage"] != tags["usage"]


def test_a_notice_put_away_leaves_the_page_with_the_tag_of_what_it_shows(browser: Client, alice: User) -> None:  # C9
    use(alice, 41)
    html = browser.get(f"{BASE}/models?range=7d&sort=model").content.decode()
    action = re.search(r'hx-post="([^"]+/dismiss[^"]*)"', html)
    assert action
    left = browser.post(unescape(action[1]), headers={"HX-Request": "true"}).content.decode()
    address = re.search(r'data-live="([^"]+)"', left)
    assert address
    assert unescape(address[1]) == opened(browser, f"{BASE}/models?range=7d&sort=model")[0]
    assert poll(browser, unescape(address[1]), regions(left)["balance"]).status_code == 304


def test_a_far_page_offers_the_first_and_a_first_page_itself(browser: Client, used: User) -> None:
    for path, newest in {
        f"{BASE}?range=7d&page=2": "?range=7d",
        f"{BASE}?range=7d": "?range=7d",
        f"{BASE}/models?range=7d&sort=model": "?range=7d&sort=model",
    }.items():
        html = browser.get(path).content.decode()
        offer = re.search(r'data-live-newer="(\w*)" hidden>.*?<a href="([^"]+)"', html, re.S)
        assert offer
        assert (offer[1], unescape(offer[2])) == ("kept" if "page" in path else "", newest)


@pytest.mark.parametrize("view", ["", "nothing", "balance", "__class__"])
def test_a_view_that_does_not_exist_is_not_found(browser: Client, view: str) -> None:
    assert browser.get(f"{BASE}/balance?view={view}").status_code == 404


def test_a_stranger_s_tag_says_nothing(browser: Client, used: User, charlie: User, sign_in: SignIn) -> None:  # B10
    address, tags = opened(browser, BASE)
    sign_in(browser, charlie)
    answer = poll(browser, address, tags["balance"])
    assert answer.status_code == 200
    assert "gpt-5" not in answer.content.decode()
