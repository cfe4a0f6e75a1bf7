"""From "Sign up for Pro" to Pro's checkout, whichever way somebody signs up or in. No script takes part."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from allauth.mfa.totp.internal import auth
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from billing.models import Purchase
from sidekick.accounts.models import User
from tests.billing.pages.reading import words
from tests.billing.store import Store, price
from tests.conftest import PASSWORD
from tests.post import delivered
from tests.sidekick.accounts import providers
from tests.sidekick.accounts.api.test_views import totp_code

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

SignIn = Callable[[Client, User], None]
SIGN_UP = {"email": "new@example.com", "password1": PASSWORD}


@pytest.fixture(autouse=True)
def _fresh_limits(db: None) -> None:
    cache.clear()


@pytest.fixture
def wanted(store: Store, client: Client) -> str:
    """The address that the button of Pro goes on to, taken from the pricing page."""
    found = re.search(
        r'href="/accounts/signup/\?next=([^"]+)">Sign up for Pro<', client.get("/pricing").content.decode()
    )
    assert found
    return found[1]


def code() -> str:
    found = re.search(r"\d{4}-\d{4}", str(delivered()[-1].body))
    assert found
    return found[0]


def form(response: Any) -> dict[str, str]:
    """The page to go on to, as the page's own forms send it along."""
    found = re.search(
        r'name="next" value="([^"]*)"', response.content.decode()[response.content.decode().index("<main") :]
    )
    return {"next": unescape(found[1])} if found else {}


def assert_at_the_checkout_of_pro(client: Client, response: Any, store: Store, wanted: str) -> None:
    assert response["Location"] == wanted
    led = client.get(wanted)
    bought = Purchase.objects.get()
    assert bought.price == price("pro")
    assert led["Location"].startswith(f"{store.url}/checkout/{bought.transaction_id}?")
    # The same page once more finds the same purchase.
    client.get(wanted)
    assert Purchase.objects.count() == 1


def test_a_new_account_pays_after_its_code(client: Client, store: Store, wanted: str) -> None:  # B6 N1
    page = client.get(f"/accounts/signup/?next={wanted}")
    page = client.post("/accounts/signup/", {**SIGN_UP, **form(page)}, follow=True)
    done = client.post("/accounts/confirm-email/", {"code": code(), **form(page)})
    assert_at_the_checkout_of_pro(client, done, store, wanted)


def test_another_tab_verifies(client: Client, store: Store, wanted: str) -> None:  # B6 N1
    """The tab that is opened from the email knows nothing of what the first one asked for."""
    client.post("/accounts/signup/", {**SIGN_UP, "next": wanted})
    page = client.get("/accounts/confirm-email/")
    assert form(page) == {"next": wanted}
    assert_at_the_checkout_of_pro(client, client.post("/accounts/confirm-email/", {"code": code()}), store, wanted)


def test_another_tab_chooses_the_plan(client: Client, store: Store, wanted: str) -> None:  # B6 N1
    """Signing up for nothing first, then "Sign up for Pro" in another tab: the code leads on to Pro."""
    client.post("/accounts/signup/", SIGN_UP)
    page = client.get(f"/accounts/signup/?next={wanted}", follow=True)
    assert "Verify your email" in page.content.decode()
    assert_at_the_checkout_of_pro(client, client.post("/accounts/confirm-email/", {"code": code()}), store, wanted)


def test_an_expired_code_keeps_the_plan(
    client: Client, store: Store, wanted: str, clock: time_machine.Traveller
) -> None:  # B6 N1
    client.post("/accounts/signup/", {**SIGN_UP, "next": wanted})
    clock.shift(timedelta(minutes=20))
    page = client.get("/accounts/confirm-email/")
    assert "This code has expired" in words(page.content.decode())
    client.post("/accounts/confirm-email/", {"action": "resend", **form(page)})
    assert_at_the_checkout_of_pro(client, client.post("/accounts/confirm-email/", {"code": code()}), store, wanted)


def test_an_account_that_exists_signs_in_and_pays(
    client: Client, alice: User, store: Store, wanted: str
) -> None:  # B6 N1
    page = client.get(f"/accounts/signup/?next={wanted}")
    found = re.search(r'href="(/accounts/login/\?next=[^"]+)"', page.content.decode())
    assert found
    page = client.get(unescape(found[1]))
    done = client.post("/accounts/login/", {"login": alice.email, "password": PASSWORD, **form(page)})
    assert_at_the_checkout_of_pro(client, done, store, wanted)


def test_a_taken_address_leads_on_from_the_same_browser(client: Client, alice: User, store: Store, wanted: str) -> None:
    page = client.post("/accounts/signup/", {**SIGN_UP, "email": alice.email, "next": wanted}, follow=True)  # B6 A9
    back = client.post("/accounts/cancel/", form(page))
    page = client.get(back["Location"])
    assert alice.email in page.content.decode()
    done = client.post("/accounts/login/", {"login": alice.email, "password": PASSWORD, **form(page)})
    assert_at_the_checkout_of_pro(client, done, store, wanted)


def test_a_code_a_second_factor_and_a_reset_lead_on(
    client: Client, alice: User, store: Store, wanted: str
) -> None:  # B6 N1
    page = client.get(f"/accounts/password/reset/?next={wanted}")
    page = client.post("/accounts/password/reset/", {"email": alice.email, **form(page)}, follow=True)
    page = client.post("/accounts/password/reset/confirm/", {"code": code(), **form(page)}, follow=True)
    new = {"password1": "an-entirely-new-one", "password2": "an-entirely-new-one", **form(page)}
    page = client.post("/accounts/password/reset/complete/", new, follow=True)
    assert page.redirect_chain[-1][0].startswith("/accounts/login/?next=%2Fdashboard%2Fbilling%2Fcheckout")
    secret = auth.generate_totp_secret()
    auth.TOTP.activate(alice, secret)
    page = client.post("/accounts/login/code/", {"email": alice.email, **form(page)}, follow=True)
    asked = client.post("/accounts/login/code/confirm/", {"code": code(), **form(page)})
    assert asked["Location"].startswith("/accounts/2fa/authenticate/")
    done = client.post("/accounts/2fa/authenticate/", {"code": totp_code(secret)})
    assert_at_the_checkout_of_pro(client, done, store, wanted)


def test_google_leads_on(
    client: Client, store: Store, wanted: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:  # B6 N1
    with providers.opened(settings, monkeypatch) as provider:
        provider.person = {"sub": "g-1", "email": "greta@example.com", "email_verified": True}
        html = client.get(f"/accounts/signup/?next={wanted}").content.decode()
        found = re.search(r'action="(/accounts/google/login/[^"]+)"', html)
        assert found
        sent = client.post(unescape(found[1]))
        done = client.get(providers.follow(sent["Location"]))
        assert_at_the_checkout_of_pro(client, done, store, wanted)


@pytest.mark.parametrize("refuses", [True, False])
def test_google_that_does_not_sign_in_keeps_the_plan(
    client: Client,
    alice: User,
    store: Store,
    wanted: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    refuses: bool,
) -> None:  # B6 N1
    """Stopped half-way, or with the address of an account that is not connected: signing in leads on."""
    with providers.opened(settings, monkeypatch) as provider:
        provider.refuses = refuses
        provider.person = {"sub": "g-1", "email": alice.email, "email_verified": True}
        sent = client.post(f"/accounts/google/login/?process=login&next={wanted}")
        page = client.get(providers.follow(sent["Location"]), follow=True)
        links = map(unescape, re.findall(r'href="(/accounts/login/[^"]*)"', page.content.decode()))
        [link] = set(links)
    page = client.get(link)
    done = client.post("/accounts/login/", {"login": alice.email, "password": PASSWORD, **form(page)})
    assert_at_the_checkout_of_pro(client, done, store, wanted)


def test_a_session_that_is_older_shows_the_plan_and_buys_nothing(
    client: Client, alice: User, sign_in: SignIn, store: Store, wanted: str, clock: time_machine.Traveller
) -> None:  # B6 B10
    """Another site may link here: what costs money waits for a button."""
    sign_in(client, alice)
    clock.shift(timedelta(minutes=2))
    html = client.get(wanted).content.decode()
    assert not Purchase.objects.exists()
    assert "Get Pro $39 a month" in words(html)
    token = re.search(r'name="token" value="([^"]+)"', html)
    assert token
    subscribe = f"/dashboard/billing/subscribe/{price('pro').pk}"
    assert f'action="{subscribe}"' in html
    led = client.post(subscribe, {"token": token[1]})
    assert led["Location"].startswith(f"{store.url}/checkout/")


def test_an_account_with_a_plan_changes_it_instead(
    client: Client, alice: User, sign_in: SignIn, store: Store, wanted: str
) -> None:  # B6
    store.subscribe(alice, "starter")
    sign_in(client, alice)
    assert client.get(wanted)["Location"] == f"/dashboard/billing/plan/{price('pro').pk}"
    assert client.get(f"/dashboard/billing/checkout/{price('starter').pk}")["Location"] == "/dashboard/billing"
    assert client.get("/dashboard/billing/checkout/999999").status_code == 404
    assert client.get(f"/dashboard/billing/checkout/{price('free').pk}")["Location"] == "/dashboard/billing"


def test_a_paddle_that_fails_leaves_the_plan_to_try_again(
    client: Client, alice: User, sign_in: SignIn, store: Store, wanted: str
) -> None:  # B6
    store.world.faults.add("too_many_requests", path="/transactions", times=9, seconds=3)
    sign_in(client, alice)
    response = client.get(wanted)
    assert response.status_code == 503
    assert "Try again" in words(response.content.decode())
    store.world.faults.clear()
    assert client.get(wanted)["Location"].startswith(f"{store.url}/checkout/")
    assert Purchase.objects.count() == 1


def test_a_lost_answer_is_looked_for_by_the_page_s_button(
    client: Client, alice: User, sign_in: SignIn, store: Store, wanted: str, clock: time_machine.Traveller
) -> None:  # B6
    store.world.faults.add("unanswered", method="POST", path="/transactions")
    sign_in(client, alice)
    token = re.search(r'name="token" value="([^"]+)"', client.get(wanted).content.decode())
    assert token
    clock.shift(timedelta(seconds=91))
    led = client.post(f"/dashboard/billing/subscribe/{price('pro').pk}", {"token": token[1]})
    assert led["Location"].startswith(f"{store.url}/checkout/")
    # The transaction whose answer was lost, not a second one.
    assert Purchase.objects.get().transaction_id in led["Location"]


@pytest.mark.parametrize("where", ["https://evil.example/", "//evil.example/", "/\\evil.example"])
def test_signing_up_never_leads_to_another_site(client: Client, where: str) -> None:  # N1
    page = client.post("/accounts/signup/", {**SIGN_UP, "next": where}, follow=True)
    assert form(page) == {}
    assert client.post("/accounts/confirm-email/", {"code": code(), "next": where})["Location"] == "/dashboard/credits"
