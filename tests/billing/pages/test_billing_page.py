"""The Billing page, against the simulator."""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from billing import subscriptions
from billing.models import Subscription, Transaction
from sidekick.accounts.models import User
from tests.billing.pages.reading import ACT, HOME, SWAP, adjusted, facts, page, paid, words
from tests.billing.store import Store, price
from tests.conftest import UNKNOWN_ID

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
SignIn = Callable[[Client, User], None]


def test_a_load_gives_the_page_and_a_swap_its_content(browser: Client, pro: str) -> None:  # N4
    for path in (HOME, f"{HOME}/plan", f"{HOME}/plan/{price('starter').pk}", f"{HOME}/cancel"):
        full, content = page(browser, path), page(browser, path, headers=SWAP)
        assert full.startswith("<!doctype html>")
        assert "<html" not in content
        assert "<title>" in content
        assert full.count('id="billing"') == content.count('id="billing"') == 1
        assert 'aria-current="page"' in content


PATHS = ["", "/coming", "/plan", "/plan/1", "/cancel", "/resume", "/pay?_ptxn=txn_1", f"/purchases/{UNKNOWN_ID}",
         f"/purchases/{UNKNOWN_ID}/progress", "/payments/txn_1/invoice"]  # fmt: skip
POSTS = ["/credits", "/subscribe/1", "/plan/1", "/cancel", "/keep", "/resume", "/card", "/portal"]


@pytest.mark.parametrize("path", PATHS)
def test_anonymous_visitors_sign_in_first(client: Client, path: str) -> None:  # N1
    response = client.get(HOME + path)
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/?next=%2Fdashboard%2Fbilling")
    assert client.get(HOME + path, headers=SWAP)["HX-Redirect"].startswith("/accounts/login/")


@pytest.mark.parametrize("path", POSTS)
def test_nothing_is_done_for_anonymous_visitors_or_without_a_csrf_token(
    client: Client, alice: User, sign_in: SignIn, path: str
) -> None:
    assert client.post(HOME + path)["Location"].startswith("/accounts/login/")
    strict = Client(enforce_csrf_checks=True)
    sign_in(strict, alice)
    assert strict.post(HOME + path).status_code == 403


@pytest.mark.parametrize("path", ["/credits", "/subscribe/1", "/keep", "/card", "/portal"])
def test_what_acts_takes_a_post_only_and_else_leads_back_to_billing(browser: Client, path: str) -> None:
    assert browser.get(HOME + path)["Location"] == HOME
    assert browser.put(HOME + path).status_code == 405


def test_a_stranger_gets_404(browser: Client, other: Client, store: Store, alice: User, pro: str) -> None:  # B10
    bought = store.buy(alice, "credits", 20)
    store.fail_renewal(pro)
    overdue = Transaction.objects.get(status="past_due")
    for path in (
        f"/purchases/{bought.id}",
        f"/purchases/{bought.id}/progress",
        f"/payments/{bought.transaction_id}/invoice",
        f"/pay?_ptxn={bought.transaction_id}",
        f"/pay?_ptxn={overdue.id}",
    ):
        assert other.get(HOME + path).status_code == 404
        assert browser.get(HOME + path).status_code in {200, 302, 303}
    assert "No payments yet" in page(other)


@pytest.mark.parametrize(
    "path",
    ["/pay", "/pay?_ptxn=", "/pay?_ptxn=sub_01k", "/pay?_ptxn=txn_" + "a" * 60,
     "/pay?_ptxn=txn_01kunknown", "/purchases/1", f"/purchases/{UNKNOWN_ID}", f"/purchases/{UNKNOWN_ID}/progress",
     "/payments/txn_unknown/invoice", "/payments/ctm_1/invoice", "/plan/999999",
     "/plan/99999999999999999999999999", "/plan/-1", "/plan/pro"],
)  # fmt: skip
def test_ids_that_nothing_has_are_404(browser: Client, path: str) -> None:
    assert browser.get(HOME + path).status_code == 404


def test_a_free_account_is_shown_what_plans_bring(browser: Client, store: Store) -> None:  # B1 B4 B6
    html = page(browser)
    text = words(html)
    assert "Plan Free Active $0" in text
    assert facts(html)["New credits on"] == "31 May 2026"
    assert "Starter $15 a month 250 credits, unused ones roll over" in text
    assert "Pro $39 a month 1,000 credits, unused ones roll over, more for $0.10 each" in text
    assert "Additional credits come with Pro." in text
    assert 'href="/pricing">Compare plans' in html
    assert f'action="{HOME}/subscribe/{price("pro").pk}"' in html
    for missing in ("Cancel Subscription", "Update card", "Billing portal", "Purchase Credits"):
        assert missing not in html


def test_before_paddle_is_set_up_there_is_still_a_page(browser: Client) -> None:
    assert "Compare plans" in words(page(browser))


def test_an_upgrade_whose_payment_is_on_its_way_says_so_and_updates_itself(  # B6 B5
    browser: Client, store: Store, alice: User
) -> None:
    store.subscribe(alice, "starter")
    subscriptions.change(alice, price("pro"))
    shown = page(browser)
    assert "Pro is being set up." in words(shown)
    assert "Plan Starter Active Pro is $39 a month" in words(shown)
    assert 'http-equiv="refresh"' in shown
    assert "Pro is being set up." in page(browser, f"{HOME}/coming", headers=SWAP)
    store.deliver()
    answer = browser.get(f"{HOME}/coming", headers=SWAP)
    assert answer.headers["HX-Redirect"] == HOME
    settled = page(browser)
    assert "being set up" not in settled
    assert 'http-equiv="refresh"' not in settled


@pytest.mark.parametrize(
    ("path", "call", "method"),
    [("/credits", "/transactions", "POST"), ("/cancel", "/subscriptions", "POST"), ("/card", "/subscriptions", "GET"),
     ("/portal", "/customers", "POST")],
)  # fmt: skip
def test_a_fault_of_paddle_s_is_a_sentence_on_the_page(
    browser: Client, store: Store, pro: str, path: str, call: str, method: str
) -> None:
    store.world.faults.add("too_many_requests", method=method, path=call, times=5, seconds=17)
    for headers in (None, ACT):
        response = browser.post(HOME + path, {"quantity": "137", "token": uuid4()}, headers=headers)
        html = response.content.decode()
        assert response.status_code == (200 if headers else 503)
        assert response["Retry-After"] == "17"
        assert "Paddle, which handles our payments, is very busy." in words(html)
        assert re.search(r'role="alert" tabindex="-1" autofocus><p>Paddle', html)
        if path == "/credits":
            assert 'value="137"' in html


def test_the_page_costs_the_same_however_long_the_history(
    browser: Client, store: Store, alice: User, pro: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(3):
        adjusted(paid(alice, number), "refund", 100)
    page(browser)
    for count in (0, 40):
        for number in range(10, 10 + count):
            adjusted(paid(alice, number), "refund", 100)
        with django_assert_num_queries(BILLING_QUERIES):
            page(browser)
        with django_assert_num_queries(5):
            page(browser, headers={"HX-Request": "true", "HX-Target": "payments"})


BILLING_QUERIES = 14


def test_names_from_outside_are_words_not_markup(browser: Client, store: Store, alice: User, pro: str) -> None:
    evil = "<script>alert(1)</script>"
    paid(alice, 1, status=evil[:30], currency="<b>")
    Subscription.objects.filter(id=pro).update(status=evil[:30])
    html = page(browser)
    assert "<script>alert" not in html
    assert "<b>" not in html
