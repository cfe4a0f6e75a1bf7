"""The Billing tab as customers see it, beside a simulated Paddle that answers for real."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import escape, unescape
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from billing import fulfilment, subscriptions
from billing.models import Adjustment, Customer, PlanPrice, Purchase, Subscription, Transaction
from billing.pages import payment_history
from credits.models import Grant
from sidekick.accounts.models import User
from tests.billing import store as stores
from tests.billing.store import Store, price
from tests.conftest import UNKNOWN_ID

pytestmark = pytest.mark.django_db
SignIn = Callable[[Client, User], None]
NOW = datetime(2026, 5, 3, 10, 0, tzinfo=UTC)
HOME = "/dashboard/billing"
SWAP = {"HX-Request": "true", "HX-Target": "main"}
PANEL = {"HX-Request": "true", "HX-Target": "additional-credits"}
ACT = {"HX-Request": "true", "HX-Target": "billing"}


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=True) as traveller:
        yield traveller


@pytest.fixture
def store(settings: Settings, clock: time_machine.Traveller) -> Iterator[Store]:
    with stores.opened(settings) as opened:
        yield opened


@pytest.fixture
def other(charlie: User, sign_in: SignIn) -> Client:
    """The stranger's browser."""
    stranger = Client()
    sign_in(stranger, charlie)
    return stranger


@pytest.fixture
def pro(store: Store, alice: User) -> str:
    """Alice's subscription, at Paddle."""
    return store.subscribe(alice, "pro")


def page(client: Client, path: str = HOME, status: int = 200, headers: dict[str, str] | None = None) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code == status, response.content[:500]
    return response.content.decode()


def words(html: str) -> str:
    """What can be read, with single spaces."""
    return " ".join(unescape(re.sub(r"<template.*?</template>|<[^>]+>", " ", html, flags=re.S)).split())


def said(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def facts(html: str) -> dict[str, str]:
    card = html[html.index('class="facts"') :]
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", card[: card.index("</dl>")]))


def rows(html: str) -> list[dict[str, str]]:
    """The payments of a page: the words of each cell by its label."""
    body = re.search(r"<tbody>(.*?)</tbody>", html, re.S)
    found = []
    for row in re.findall(r"<tr>(.*?)</tr>", body[1], re.S) if body else []:
        cells = {label: words(cell) for label, cell in re.findall(r'data-label="(.*?)">(.*?)</td>', row, re.S)}
        amount = re.search(r'<td class="num strong">(.*?)</td>', row)
        heading = re.search(r"<th.*?>(.*?)</th>", row, re.S)
        assert heading
        assert amount
        found.append({"Date": words(heading[1]), "Amount": words(amount[1]), **cells})
    return found


def buy(client: Client, quantity: object, *, token: object = None, headers: dict[str, str] | None = None) -> Any:
    return client.post(f"{HOME}/credits", {"quantity": quantity, "token": token or uuid4()}, headers=headers)


# Who sees what


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
    ["/pay", "/pay?_ptxn=", "/pay?_ptxn=sub_01k", "/pay?_ptxn=txn_%00", "/pay?_ptxn=txn_" + "a" * 60,
     "/pay?_ptxn=txn_01kunknown", "/purchases/1", f"/purchases/{UNKNOWN_ID}", f"/purchases/{UNKNOWN_ID}/progress",
     "/payments/txn_unknown/invoice", "/payments/txn_%00/invoice", "/payments/ctm_1/invoice", "/plan/999999",
     "/plan/99999999999999999999999999", "/plan/-1", "/plan/pro"],
)  # fmt: skip
def test_ids_that_nothing_has_are_404(browser: Client, path: str) -> None:
    assert browser.get(HOME + path).status_code == 404


# The plan


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
    for missing in ("Cancel subscription", "Update card", "Billing portal", "Purchase credits"):
        assert missing not in html


def test_before_paddle_is_set_up_there_is_still_a_page(browser: Client) -> None:
    assert "Compare plans" in words(page(browser))


def test_an_active_plan_shows_price_and_renewal(browser: Client, pro: str) -> None:  # B1
    html = page(browser)
    assert "Plan Pro Active $39 a month" in words(html)
    assert facts(html) == {
        "Renews on": "3 Jun 2026",
        "Credits a month": "1,000",
        "Unused credits": "Roll over",
        "Additional credits": "Can be bought",
    }
    for button in ("Change plan", "Update card", "Billing portal", "Cancel subscription", "Purchase credits"):
        assert button in html
    assert 'class="notice notice-' not in html


def test_days_are_those_of_the_account_s_zone(browser: Client, alice: User, store: Store) -> None:
    User.objects.filter(id=alice.id).update(time_zone="Pacific/Kiritimati")
    store.subscribe(User.objects.get(id=alice.id))
    html = page(browser)
    assert facts(html)["Renews on"] == "4 Jun 2026"
    assert rows(html)[0]["Date"] == "4 May 2026"


def test_a_scheduled_end_is_announced_and_undone_with_one_click(
    browser: Client, alice: User, store: Store, pro: str
) -> None:  # B1 B2 B3
    text = words(page(browser, f"{HOME}/cancel"))
    assert "Pro stays as it is until 3 Jun 2026. Nothing more is charged." in text
    assert "Then your account goes on as Free, with 50 credits a month." in text
    done = browser.post(f"{HOME}/cancel", follow=True)
    assert done.redirect_chain == [(HOME, 302)]
    html = done.content.decode()
    assert "Your subscription is canceled. Nothing changes until it ends." in words(html)
    assert "Pro ends on 3 Jun 2026. Until then nothing changes. Keep Pro" in words(html)
    assert facts(html)["Ends on"] == "3 Jun 2026"
    assert "Renews on" not in html
    assert "Cancel subscription" not in html
    assert "Purchase credits" in html
    undone = browser.post(f"{HOME}/keep", follow=True).content.decode()
    assert "Your plan goes on as before." in words(undone)
    assert facts(undone)["Renews on"] == "3 Jun 2026"
    assert 'class="notice notice-' not in undone


def test_a_swap_brings_its_message_along(browser: Client, pro: str) -> None:  # N4 N8
    done = browser.post(f"{HOME}/cancel", headers=ACT, follow=True)
    html = done.content.decode()
    assert "<html" not in html
    assert 'hx-swap-oob="beforeend:#toasts"' in html
    assert "Your subscription is canceled." in html
    assert "Your subscription is canceled." not in page(browser)


def test_cancelling_nothing_leads_back(browser: Client, store: Store, alice: User) -> None:
    assert browser.get(f"{HOME}/cancel")["Location"] == HOME
    refused = browser.post(f"{HOME}/cancel")
    assert refused.status_code == 409
    assert "There is nothing to cancel" in words(refused.content.decode())
    assert browser.post(f"{HOME}/keep").status_code == 409
    assert "Nothing is scheduled that could be undone." in words(browser.post(f"{HOME}/keep").content.decode())
    assert browser.get(f"{HOME}/resume")["Location"] == HOME
    assert browser.post(f"{HOME}/resume").status_code == 409


def test_an_overdue_payment_says_how_long_the_plan_stays(
    browser: Client, store: Store, pro: str, clock: time_machine.Traveller, sign_in: SignIn, alice: User
) -> None:  # B7
    clock.move_to(datetime(2026, 6, 3, 10, 5, tzinfo=UTC))
    sign_in(browser, alice)
    store.fail_renewal(pro)
    html = page(browser)
    assert "Plan Pro Past due" in words(html)
    assert "Your last payment for Pro didn’t go through. Pro stays until 10 Jun 2026." in words(html)
    assert "Pro stays as it is until 10 Jun 2026." in words(page(browser, f"{HOME}/cancel"))
    assert "notice-danger" in html
    assert "Change plan" not in html
    assert rows(html)[0]["Status"] == "Past due"
    clock.move_to(datetime(2026, 6, 11, tzinfo=UTC))
    sign_in(browser, alice)
    fulfilment.end_plans(timezone.now())
    over = words(page(browser))
    assert "Your account is on Free until it does. Update your card" in over
    assert "Nothing more is charged. Your account stays on Free." in words(page(browser, f"{HOME}/cancel"))


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


def test_a_paused_plan_is_resumed_after_a_question(browser: Client, store: Store, pro: str) -> None:  # B1
    store.pause(pro, days=40)
    html = page(browser)
    assert "Paused" in html
    assert "Pro is paused." in words(html)
    assert "It resumes on 12 Jun 2026." in words(html)
    fulfilment.end_plans(timezone.now())
    followed = words(page(browser))
    assert "Your account is on Free until it resumes, and nothing is charged." in followed
    assert "Plan Free Paused $0 for now, Pro is $39 a month" in followed
    assert "Resume Pro? A new month begins now, and your card is charged $39" in words(page(browser, f"{HOME}/resume"))
    done = browser.post(f"{HOME}/resume", follow=True).content.decode()
    assert "Your plan is back as soon as the payment arrives." in words(done)
    store.deliver()
    assert "Plan Pro Active $39 a month" in words(page(browser))


def test_a_paused_plan_can_be_canceled_at_once(browser: Client, store: Store, pro: str) -> None:  # B2
    store.pause(pro, days=40)
    fulfilment.end_plans(timezone.now())
    asked = words(page(browser, f"{HOME}/cancel"))
    assert "Cancel Pro? Pro ends at once and can’t be resumed. Nothing more is charged." in asked
    assert "You can change your mind" not in asked
    done = words(browser.post(f"{HOME}/cancel", follow=True).content.decode())
    assert "Your subscription is canceled." in done
    assert "Nothing changes until it ends" not in done
    assert "Plan Free Canceled $0" in done
    assert "Get Pro" in words(page(browser, "/pricing"))


def test_a_scheduled_pause_can_be_undone(browser: Client, store: Store, pro: str) -> None:  # B1
    store.pause(pro, now=False)
    html = page(browser)
    assert "Pro pauses on 3 Jun 2026. Until then nothing changes. Keep Pro" in words(html)
    assert facts(html)["Pauses on"] == "3 Jun 2026"
    assert "Your plan goes on as before." in words(browser.post(f"{HOME}/keep", follow=True).content.decode())


@pytest.mark.parametrize(
    ("status", "badge", "shown"),
    [("trialing", "badge-good", "Trialing"), ("active", "badge-good", "Active"), ("past_due", "badge-bad", "Past due"),
     ("paused", "badge-warn", "Paused"), ("canceled", "badge", "Canceled"), ("under_review", "badge", "Under review")],
)  # fmt: skip
def test_every_status_has_its_word(browser: Client, pro: str, status: str, badge: str, shown: str) -> None:  # B1
    Subscription.objects.filter(id=pro).update(status=status)
    assert f'<span class="badge{f" {badge}" if badge != "badge" else ""}">{shown}</span>' in page(browser)


def test_a_trial_says_when_it_ends_and_what_follows(browser: Client, pro: str) -> None:  # B1
    Subscription.objects.filter(id=pro).update(status="trialing")
    html = page(browser)
    assert "Plan Pro Trialing $0 then $39 a month" in words(html)
    assert facts(html)["Trial ends on"] == "3 Jun 2026"


# Changing the plan


def test_an_upgrade_shows_paddle_s_own_figures_first(browser: Client, store: Store, alice: User) -> None:  # B6
    store.subscribe(alice, "starter")
    text = words(page(browser, f"{HOME}/plan"))
    assert "Starter Your plan $15 a month" in text
    assert "Change to Pro" in text
    before = words(page(browser, f"{HOME}/plan/{price('pro').pk}"))
    assert "You pay $28.80 now, of which $4.80 is tax." in before
    assert "From 3 Jun 2026 you pay $46.80 a month." in before
    assert Subscription.objects.get().price_id == price("starter").paddle_price_id
    done = browser.post(f"{HOME}/plan/{price('pro').pk}", follow=True).content.decode()
    assert "Your plan changes to Pro." in words(done)
    store.deliver()
    html = page(browser)
    assert "Plan Pro Active $39 a month" in words(html)
    assert [row["For"] for row in rows(html)] == ["Upgrade to Pro", "Starter, 3 May – 3 Jun 2026"]


def test_a_downgrade_begins_with_the_next_period(browser: Client, store: Store, pro: str) -> None:  # B6 M9
    before = words(page(browser, f"{HOME}/plan/{price('starter').pk}"))
    assert "Nothing to pay now. Starter from 3 Jun 2026; Pro until then." in before
    assert "From 3 Jun 2026 you pay $18.00 a month." in before
    browser.post(f"{HOME}/plan/{price('starter').pk}")
    store.deliver()
    html = page(browser)
    assert "Plan Pro Active Starter from 3 Jun 2026, $15 a month" in words(html)
    assert facts(html)["Credits a month"] == "1,000"
    choices = words(page(browser, f"{HOME}/plan"))
    assert "Starter Your next plan" in choices
    assert "Stay on Pro" in choices
    back = words(page(browser, f"{HOME}/plan/{price('pro').pk}"))
    assert "Nothing to pay now. Pro goes on as before." in back


def test_changing_to_the_same_plan_is_refused(browser: Client, pro: str) -> None:
    refused = browser.get(f"{HOME}/plan/{price('pro').pk}")
    assert refused.status_code == 409
    assert "You are on Pro already." in words(refused.content.decode())
    assert "Confirm" not in refused.content.decode()


def test_without_a_subscription_there_is_no_plan_to_change(browser: Client, store: Store) -> None:
    assert browser.get(f"{HOME}/plan")["Location"] == HOME
    assert browser.post(f"{HOME}/plan/{price('pro').pk}").status_code == 409
    assert not Subscription.objects.exists()


def test_a_declined_card_changes_nothing_and_says_so(browser: Client, store: Store, alice: User) -> None:  # B6
    sub = store.subscribe(alice, "starter")
    store.world.fail_next_payment(sub)
    refused = browser.post(f"{HOME}/plan/{price('pro').pk}")
    assert refused.status_code == 503
    text = words(refused.content.decode())
    assert "Your card was declined, and the plan stays as it was." in text
    assert "Confirm change to Pro" in text
    assert subscriptions.state_of(alice).plan.slug == "starter"


@pytest.mark.parametrize("plan", ["pro", "free"])
@pytest.mark.parametrize(("interval", "currency"), [("credit", "USD"), ("month", "EUR")])
def test_only_plans_on_sale_can_be_bought_or_changed_to(
    browser: Client, store: Store, plan: str, interval: str, currency: str
) -> None:  # B10
    row, _ = PlanPrice.objects.get_or_create(
        plan_id=plan, interval=interval, currency=currency, defaults={"amount": 900, "paddle_price_id": f"pri_1{plan}"}
    )
    for pk in (row.pk, price("free").pk, 999_999, 10**25):
        assert browser.post(f"{HOME}/subscribe/{pk}", {"token": uuid4()}).status_code == 404
        assert browser.get(f"{HOME}/plan/{pk}").status_code == 404
        assert browser.post(f"{HOME}/plan/{pk}").status_code == 404
    assert not Purchase.objects.exists()


# Buying


def test_a_free_account_subscribes(browser: Client, store: Store, alice: User) -> None:  # B6
    token = uuid4()
    begun = [browser.post(f"{HOME}/subscribe/{price('pro').pk}", {"token": token}) for _ in range(2)]
    bought = Purchase.objects.get()
    assert {response.status_code for response in begun} == {303}
    assert begun[0]["Location"].startswith(f"{store.url}/checkout/{bought.transaction_id}?return_to=")
    assert f"purchases%2F{bought.id}" in begun[0]["Location"]
    store.world.pay(bought.transaction_id, "good", email=alice.email)
    store.deliver()
    assert "You are on Pro." in words(page(browser, f"{HOME}/purchases/{bought.id}?checkout=completed"))
    assert "Plan Pro Active" in words(page(browser))


def test_a_second_plan_is_refused(browser: Client, store: Store, pro: str) -> None:  # B6
    refused = browser.post(f"{HOME}/subscribe/{price('starter').pk}", {"token": "not one"})
    assert refused.status_code == 409
    assert "You have a plan already" in words(refused.content.decode())
    swapped = browser.post(f"{HOME}/subscribe/{price('starter').pk}", headers=ACT)
    assert swapped.status_code == 200
    assert swapped["HX-Push-Url"] == "false"
    assert 'role="alert"' in swapped.content.decode()


def test_pro_buys_credits_with_slider_and_field_in_step(browser: Client, pro: str) -> None:  # B4 N8
    html = page(browser)
    slider = re.search(r'<input type="range"[^>]*>', html)
    number = re.search(r'<input type="number"[^>]*>', html)
    assert slider
    assert number
    assert 'min="1" max="300" value="100"' in slider[0]
    assert 'min="1"' in number[0]
    assert 'max="300"' in number[0]
    assert 'name="quantity"' not in slider[0]
    assert 'data-unit="10" data-currency="USD" data-least="7"' in html
    assert "× $0.10 = $10.00" in words(html)
    assert "They never expire." in words(html)
    assert "Paddle doesn’t charge less than $0.70: choose 7 credits or more." in html


def test_buying_credits_leads_to_the_checkout(browser: Client, store: Store, alice: User, pro: str) -> None:  # B4 B5
    begun = buy(browser, 137)
    bought = Purchase.objects.get(price=price("pro", "credit"))
    assert begun.status_code == 303
    assert begun["Location"].startswith(f"{store.url}/checkout/{bought.transaction_id}?return_to=")
    assert (bought.account, bought.quantity, bought.amount) == (alice, 137, 1370)
    swapped = buy(browser, 20, headers=PANEL)
    assert swapped["HX-Redirect"].startswith(f"{store.url}/checkout/txn_")


@pytest.mark.parametrize(
    ("quantity", "sentence"),
    [("0", "Choose between 7 and 300 credits."), ("301", "Choose between 7 and 300 credits."),
     ("-5", "Choose a whole number from 7 to 300."), ("1.5", "Choose a whole number from 7 to 300."),
     ("8.0", "Choose a whole number from 7 to 300."), ("", "Choose a whole number from 7 to 300."),
     ("１３７", "Choose a whole number from 7 to 300."), ("1e2", "Choose a whole number from 7 to 300."),
     ("9" * 30, "Choose between 7 and 300 credits."), ("9" * 6000, "Choose a whole number from 7 to 300."),
     ("<b>7", "Choose a whole number from 7 to 300."),
     ("1", "Paddle doesn’t charge less than $0.70: choose 7 credits or more."),
     ("6", "Paddle doesn’t charge less than $0.70: choose 7 credits or more.")],
)  # fmt: skip
def test_a_number_that_can_t_be_bought_is_explained_and_kept(
    browser: Client, pro: str, quantity: str, sentence: str
) -> None:  # B4
    refused = buy(browser, quantity)
    assert refused.status_code == 422
    html = refused.content.decode()
    assert sentence in words(html)
    typed = re.search(r'<input type="number"[^>]*>', html)
    assert typed
    if quantity:
        assert f'value="{escape(quantity)}"' in typed[0]
    assert 'aria-invalid="true"' in typed[0]
    assert "<b>7" not in html
    swapped = buy(browser, quantity, headers=PANEL)
    assert swapped.status_code == 200
    assert swapped.content.decode().strip().startswith('<section class="panel buy" id="additional-credits"')
    assert sentence in words(swapped.content.decode())
    assert not Purchase.objects.filter(price=price("pro", "credit")).exists()


@pytest.mark.parametrize("quantity", [7, 300])
def test_the_least_and_the_most_can_be_bought(browser: Client, store: Store, pro: str, quantity: int) -> None:  # B4
    assert buy(browser, quantity).status_code == 303


def test_the_least_follows_the_setting(browser: Client, pro: str, settings: Settings) -> None:  # B4
    settings.PADDLE_MINIMUM_CHARGE = 205
    assert "Paddle doesn’t charge less than $2.05: choose 21 credits or more." in page(browser)
    assert buy(browser, 20).status_code == 422


def test_the_same_form_sent_twice_is_one_purchase(browser: Client, pro: str) -> None:  # B4
    token = uuid4()
    first, second = buy(browser, 137, token=token), buy(browser, 137, token=token)
    assert first["Location"] == second["Location"]
    assert Purchase.objects.filter(quantity=137).count() == 1


def test_price_and_account_are_not_the_browser_s_to_choose(
    browser: Client, alice: User, charlie: User, pro: str
) -> None:  # B4 B10
    data = {"quantity": 50, "token": uuid4(), "price": 1, "amount": 1, "account": charlie.id, "currency": "EUR"}
    assert browser.post(f"{HOME}/credits", data).status_code == 303
    bought = Purchase.objects.get(quantity=50)
    assert (bought.account, bought.amount, bought.currency) == (alice, 500, "USD")


def test_others_are_told_why_they_can_t_buy(browser: Client, store: Store, alice: User) -> None:  # B4
    refused = buy(browser, 3)
    assert refused.status_code == 409
    assert "Additional credits come with Pro." in words(refused.content.decode())
    store.subscribe(alice, "starter")
    html = page(browser)
    assert "Additional credits come with Pro. There you buy them as you need them, for $0.10 each" in words(html)
    assert f'href="{HOME}/plan"' in html
    assert buy(browser, 50).status_code == 409
    assert Purchase.objects.count() == 1


def test_after_a_chargeback_nothing_can_be_bought(browser: Client, store: Store, alice: User, pro: str) -> None:  # P4
    bought = store.buy(alice, "credits", 50)
    dispute = store.world.charge_back(bought.transaction_id)
    store.deliver()
    html = page(browser)
    assert "Your bank disputed a payment." in words(html)
    assert rows(html)[0]["Status"] == "Paid Disputed"
    assert buy(browser, 50).status_code == 409
    store.world.reverse(dispute["id"])
    store.deliver()
    html = page(browser)
    assert rows(html)[0]["Status"] == "Paid Dispute won"
    assert "Purchase credits" in html


# Paddle in trouble


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


def test_a_fault_while_a_plan_is_previewed_leaves_a_way_back(browser: Client, store: Store, pro: str) -> None:
    store.world.faults.add("too_many_requests", method="PATCH", path="/subscriptions", seconds=9)
    response = browser.get(f"{HOME}/plan/{price('starter').pk}")
    assert response.status_code == 503
    assert "Try again" in words(response.content.decode())
    assert "Confirm" not in response.content.decode()


def test_a_lost_answer_is_found_again_by_the_same_form(
    browser: Client, store: Store, pro: str, clock: time_machine.Traveller, sign_in: SignIn, alice: User
) -> None:  # B4
    token = uuid4()
    store.world.faults.add("unanswered", method="POST", path="/transactions")
    refused = buy(browser, 137, token=token)
    assert refused.status_code == 503
    assert f'value="{token}"' in refused.content.decode()
    waiting = buy(browser, 137, token=token)
    assert waiting["Location"] == f"{HOME}/purchases/{Purchase.objects.get(quantity=137).id}"
    assert "Preparing the checkout." in words(page(browser, waiting["Location"]))
    clock.shift(timedelta(seconds=91))
    sign_in(browser, alice)
    assert buy(browser, 137, token=token)["Location"].startswith(f"{store.url}/checkout/")


# The pay page


def test_a_purchase_waits_to_be_paid(browser: Client, store: Store, alice: User, pro: str) -> None:  # B4
    bought = store.buy(alice, "credits", 137, pay="")
    html = page(browser, f"{HOME}/purchases/{bought.id}")
    assert "137 × $0.10 $13.70 Subtotal $13.70 Plus tax where it applies." in words(html)
    assert f'href="{store.url}/checkout/{bought.transaction_id}?return_to=' in html
    assert "data-live=" not in html
    assert "paddle.js" not in html
    assert "137 additional credits" not in words(page(browser))


def test_a_plan_s_bill_says_that_it_repeats(browser: Client, store: Store, alice: User) -> None:
    bought = store.buy(alice, "pro", pay="")
    html = page(browser, f"{HOME}/purchases/{bought.id}")
    assert "Sidekick Pro $39.00 Subtotal $39.00 Plus tax where it applies. Then the same a month" in words(html)


def test_what_the_browser_says_of_a_payment_gives_nothing(
    browser: Client, store: Store, alice: User, pro: str
) -> None:  # B5
    bought = store.buy(alice, "credits", 137, pay="")
    html = page(browser, f"{HOME}/purchases/{bought.id}?checkout=completed")
    assert "Payment received, adding 137 credits." in words(html)
    assert f'data-live="{HOME}/purchases/{bought.id}/progress?since=' in html
    assert 'data-live-every="2"' in html
    assert "Continue to payment" not in html
    assert not Grant.objects.filter(kind=Grant.Kind.PURCHASED).exists()
    assert "Continue to payment" in page(browser, f"{HOME}/purchases/{bought.id}")


def test_the_page_updates_itself_until_the_credits_are_there(
    browser: Client, store: Store, alice: User, pro: str
) -> None:  # B5
    bought = store.buy(alice, "credits", 137, pay="")
    path = f"{HOME}/purchases/{bought.id}/progress?since={int(NOW.timestamp())}&completed"
    waiting = page(browser, path)
    assert "<html" not in waiting
    assert 'data-live-every="2"' in waiting
    store.world.pay(bought.transaction_id, "good", email=alice.email)
    store.deliver()
    done = page(browser, path)
    assert "137 credits added." in words(done)
    assert "data-live=" not in done
    assert '<p class="visually-hidden" data-announce>137 credits added</p>' in done
    bill = words(page(browser, f"{HOME}/purchases/{bought.id}"))
    assert "137 × $0.10 $13.70 Tax $2.74 Total $16.44" in bill
    assert Grant.objects.get(kind=Grant.Kind.PURCHASED).amount == Decimal(137)


def test_a_late_webhook_is_made_up_for_by_asking(
    browser: Client, store: Store, alice: User, pro: str, clock: time_machine.Traveller
) -> None:  # B5
    bought = store.buy(alice, "credits", 137, pay="")
    store.world.pay(bought.transaction_id, "good", email=alice.email)
    clock.shift(timedelta(seconds=11))
    assert "137 credits added." in words(page(browser, f"{HOME}/purchases/{bought.id}?checkout=completed"))


def test_a_long_wait_stays_calm(browser: Client, store: Store, alice: User, pro: str) -> None:  # B5
    bought = store.buy(alice, "credits", 137, pay="")
    since = int(NOW.timestamp()) - 61
    html = page(browser, f"{HOME}/purchases/{bought.id}/progress?since={since}&completed")
    assert "This takes longer than usual. Nothing is lost" in words(html)
    assert 'data-live-every="10"' in html
    for odd in ("abc", "", "-1", "9" * 40, "٣"):
        assert "adding 137 credits" in page(browser, f"{HOME}/purchases/{bought.id}/progress?since={odd}&completed")


def test_billing_tells_of_a_payment_on_its_way(
    browser: Client, other: Client, store: Store, alice: User, pro: str, clock: time_machine.Traveller, sign_in: SignIn
) -> None:  # B5
    bought = store.buy(alice, "credits", 137, pay="")
    Transaction.objects.filter(id=bought.transaction_id).update(status="paid")
    html = page(browser)
    assert "Payment received, adding 137 credits." in words(html)
    assert f'data-live="{HOME}/purchases/{bought.id}/progress?since=' in html
    assert rows(html)[0]["Status"] == "Processing"
    assert "adding 137" not in page(other)
    clock.shift(timedelta(hours=2))
    sign_in(browser, alice)
    assert "adding 137" not in page(browser)


def test_a_closed_checkout_leaves_nothing_behind(browser: Client, store: Store, alice: User, pro: str) -> None:  # B4
    bought = store.buy(alice, "credits", 137, pay="")
    closed = browser.get(f"{HOME}/purchases/{bought.id}?checkout=closed")
    assert closed["Location"] == HOME
    assert said(closed) == ["The checkout is closed. Nothing was charged."]
    assert [row["For"] for row in rows(page(browser))] == ["Pro, 3 May – 3 Jun 2026"]
    store.world.pay(bought.transaction_id, "good", email=alice.email)
    store.deliver()
    assert "137 credits added." in words(page(browser, f"{HOME}/purchases/{bought.id}?checkout=closed"))


def test_a_declined_card_leaves_the_purchase_to_be_paid(
    browser: Client, store: Store, alice: User, pro: str
) -> None:  # B4
    bought = store.buy(alice, "credits", 137, pay="declined")
    assert "Continue to payment" in page(browser, f"{HOME}/purchases/{bought.id}")
    assert len(rows(page(browser))) == 1


def test_a_canceled_checkout_says_so(browser: Client, store: Store, alice: User, pro: str) -> None:
    bought = store.buy(alice, "credits", 137, pay="")
    Transaction.objects.filter(id=bought.transaction_id).update(status="canceled")
    html = page(browser, f"{HOME}/purchases/{bought.id}")
    assert "This checkout was canceled. Nothing was charged." in words(html)
    assert "Continue to payment" not in html


def test_the_pay_page_is_always_loaded_whole(browser: Client, store: Store, alice: User, pro: str) -> None:
    bought = store.buy(alice, "credits", 137, pay="")
    path = f"{HOME}/purchases/{bought.id}"
    assert browser.get(path, headers=SWAP)["HX-Redirect"] == path
    ready = browser.get(f"{path}/progress", headers=PANEL)
    assert ready["HX-Redirect"] == path


def test_paddle_s_payment_link_finds_what_it_is_for(
    browser: Client, store: Store, alice: User, pro: str
) -> None:  # B7 B10
    bought = store.buy(alice, "credits", 137, pay="")
    link = f"{HOME}/pay?_ptxn="
    assert browser.get(link + bought.transaction_id)["Location"] == f"{HOME}/purchases/{bought.id}"
    store.fail_renewal(pro)
    overdue = Transaction.objects.get(status="past_due")
    html = page(browser, link + overdue.id)
    assert "Tax $7.80 Total $46.80" in words(html)
    assert f'href="{store.url}/checkout/{overdue.id}' in html
    paid = Transaction.objects.get(status="completed")
    Purchase.objects.filter(transaction_id=paid.id).delete()
    assert browser.get(link + paid.id)["Location"] == HOME


def test_the_real_paddle_is_let_in_on_the_pay_page_only(
    browser: Client, store: Store, alice: User, pro: str, settings: Settings
) -> None:  # B9
    bought = store.buy(alice, "credits", 137, pay="")
    settings.PADDLE_SIMULATED, settings.PADDLE_ENVIRONMENT = False, "sandbox"
    settings.PADDLE_CLIENT_TOKEN = "test_token"
    response = browser.get(f"{HOME}/purchases/{bought.id}")
    html, policy = response.content.decode(), response["Content-Security-Policy"]
    assert '<script src="https://cdn.paddle.com/paddle/v2/paddle.js"></script>' in html
    assert "js/checkout.js" in html
    for attribute in (
        f'data-checkout="{bought.transaction_id}"',
        'data-environment="sandbox"',
        'data-token="test_token"',
        f'data-done="http://testserver{HOME}/purchases/{bought.id}?checkout=completed"',
        f'data-closed="http://testserver{HOME}/purchases/{bought.id}?checkout=closed"',
    ):
        assert attribute in html
    assert "<noscript>" in html
    assert "script-src 'self' https://cdn.paddle.com" in policy
    assert "frame-src https://" in policy
    assert "unsafe" not in policy
    assert "payment=(self" in response["Permissions-Policy"]
    for path in (HOME, f"{HOME}/plan", f"{HOME}/cancel"):
        other_page = browser.get(path)
        assert "cdn.paddle.com" not in other_page["Content-Security-Policy"] + other_page.content.decode()
    assert buy(browser, 20)["Location"].startswith(f"{HOME}/purchases/")
    assert browser.post(f"{HOME}/card")["Location"].startswith(f"{HOME}/pay?_ptxn=txn_")


# Links of Paddle's


def test_a_new_card_is_taken_by_paddle_s_checkout(
    browser: Client, store: Store, pro: str, settings: Settings
) -> None:  # B7 B9
    response = browser.post(f"{HOME}/card")
    assert response.status_code == 303
    assert response["Location"].startswith(f"{store.url}/checkout/txn_")
    assert response["Location"].endswith("?return_to=http%3A%2F%2Ftestserver%2Fdashboard%2Fbilling")
    assert browser.post(f"{HOME}/card", headers=ACT)["HX-Redirect"].startswith(f"{store.url}/checkout/txn_")
    opened = Transaction.objects.filter(origin="subscription_payment_method_change").first()
    assert opened
    text = words(page(browser, f"{HOME}/pay?_ptxn={opened.id}"))
    assert "Update your card" in text
    assert "Total $0.00" in text
    assert [row["For"] for row in rows(page(browser))] == ["Pro, 3 May – 3 Jun 2026"]
    assert said(browser.get(f"{HOME}?checkout=completed")) == [
        "Thank you. It can take a minute until this page shows it."
    ]


def test_who_paid_with_another_customers_email_gets_nobodys_portal(  # B10
    browser: Client, other: Client, store: Store, alice: User, charlie: User, pro: str
) -> None:
    customer = Customer.objects.get(account=alice)
    stranger = store.subscribe(charlie, "starter")
    Subscription.objects.filter(id=stranger).update(customer_id=customer.id)
    Customer.objects.filter(account=charlie).update(account=None)
    assert other.post(f"{HOME}/portal").status_code == 409
    assert "Billing portal" not in page(other)
    assert browser.post(f"{HOME}/portal").status_code == 303


def test_one_customer_can_not_use_up_paddles_patience(browser: Client, store: Store, alice: User, pro: str) -> None:
    # B10
    statuses = [buy(browser, 137).status_code for _ in range(11)]
    assert statuses == [303] * 10 + [429]
    assert Purchase.objects.filter(quantity=137).count() == 10


def test_previews_are_counted_though_they_change_nothing(browser: Client, store: Store, alice: User) -> None:  # B10
    store.subscribe(alice, "starter")
    path = f"{HOME}/plan/{price('pro').pk}"
    assert [browser.get(path).status_code for _ in range(31)] == [200] * 30 + [429]


def test_paddle_s_portal_opens_by_a_link_of_the_moment(
    browser: Client, other: Client, store: Store, pro: str
) -> None:  # B7
    first, second = browser.post(f"{HOME}/portal"), browser.post(f"{HOME}/portal", headers=ACT)
    assert first.status_code == 303
    assert first["Location"].startswith(f"{store.url}/portal/")
    assert second["HX-Redirect"].startswith(f"{store.url}/portal/")
    assert other.post(f"{HOME}/portal").status_code == 409
    assert other.post(f"{HOME}/card").status_code == 409


def test_an_invoice_opens_by_a_link_of_the_moment(browser: Client, store: Store, pro: str) -> None:  # B7 B8
    html = page(browser)
    link = re.search(r'href="(/dashboard/billing/payments/txn_\w+/invoice)"', html)
    assert link
    response = browser.get(link[1])
    assert response.status_code == 303
    assert response["Location"].startswith(store.url)
    store.world.faults.add("too_many_requests", path="/transactions", times=5, seconds=3)
    assert browser.get(link[1]).status_code == 503


# Payment history


def paid(account: User, number: int, **changes: Any) -> Transaction:
    """A payment as its snapshot keeps it: 137 credits, unless told otherwise."""
    line = {"id": f"txnitm_{number:03}", "price_id": price("pro", "credit").paddle_price_id, "quantity": 137,
            "total": 1644, "tax": 274, "prorated": False}  # fmt: skip
    at = NOW - timedelta(hours=number)
    columns: dict[str, Any] = {
        "id": f"txn_{number:05}", "account": account, "status": "completed", "origin": "api", "currency": "USD",
        "total": 1644, "tax": 274, "grand_total": 1644, "line_items": [line], "created_at": at, "billed_at": at,
        "snapshot_at": at, "snapshot_event": "evt_1", "data": {}, "settled_at": at,
    }  # fmt: skip
    return Transaction.objects.create(**columns | changes)


def adjusted(payment: Transaction, action: str, total: int, status: str = "approved") -> None:
    Adjustment.objects.create(
        id=f"adj_{uuid4().hex}", transaction_id=payment.id, customer_id="ctm_1", action=action, status=status,
        currency="USD", total=total, items=[], created_at=NOW, snapshot_at=NOW, snapshot_event="evt_1", data={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "shown"),
    [("completed", "Paid"), ("paid", "Processing"), ("billed", "Processing"), ("past_due", "Past due"),
     ("waiting_for_bank", "Waiting for bank")],
)  # fmt: skip
def test_a_payment_s_status_has_its_word(browser: Client, store: Store, alice: User, status: str, shown: str) -> None:
    paid(alice, 1, status=status)  # B8
    html = page(browser)
    assert rows(html)[0]["Status"] == shown
    assert ("/invoice" in html) == (status == "completed")


def test_a_renewal_whose_card_was_declined_failed(browser: Client, store: Store, alice: User) -> None:  # B8
    paid(alice, 1, status="billed", data={"payments": [{"status": "error"}, {"status": "captured"}]})
    paid(alice, 2, status="billed", data={"payments": []})
    assert [row["Status"] for row in rows(page(browser))] == ["Failed", "Processing"]


@pytest.mark.parametrize("status", ["draft", "ready", "canceled"])
def test_what_nobody_paid_is_no_history(browser: Client, store: Store, alice: User, status: str) -> None:  # B8
    paid(alice, 1, status=status)
    assert "No payments yet" in words(page(browser))


def test_money_that_went_back_stands_beside_its_payment(browser: Client, store: Store, alice: User) -> None:  # B8 P4
    cases: list[tuple[list[tuple[str, int, str]], str]] = [
        ([("refund", 1089, "approved")], "Paid $10.89 refunded"),
        ([("refund", 1644, "approved")], "Paid Refunded"),
        ([("refund", 500, "approved"), ("refund", 144, "pending_approval")], "Paid $5.00 refunded Refund pending"),
        ([("refund", 500, "rejected")], "Paid"),
        ([("refund", 500, "a_newer_word")], "Paid"),
        ([("chargeback", 1644, "approved")], "Paid Disputed"),
        ([("chargeback_warning", 1644, "approved")], "Paid Disputed"),
        ([("chargeback", 1644, "reversed"), ("chargeback_reverse", 1644, "approved")], "Paid Dispute won"),
        ([("a_newer_action", 1644, "approved")], "Paid"),
    ]
    for number, (adjustments, _) in enumerate(cases):
        payment = paid(alice, number)
        for action, total, status in adjustments:
            adjusted(payment, action, total, status)
    assert [row["Status"] for row in rows(page(browser))] == [shown for _, shown in cases]


def test_amounts_have_the_decimals_of_their_currency(browser: Client, store: Store, alice: User) -> None:  # B8
    paid(alice, 1, currency="JPY", grand_total=123456, tax=1234)
    paid(alice, 2, currency="EUR", grand_total=123456, tax=5)
    paid(alice, 3, currency="CHF", grand_total=-250, tax=0)
    shown = [(row["Amount"], row["Tax"]) for row in rows(page(browser))]
    assert shown == [("123,456 JPY", "1,234 JPY"), ("€1,234.56", "€0.05"), ("−2.50 CHF", "0.00 CHF")]


def test_what_was_paid_for_is_said_in_plain_words(browser: Client, store: Store, alice: User) -> None:  # B8
    def line(price_id: str, quantity: int = 1, *, prorated: bool = False) -> dict[str, Any]:
        return {
            "id": "txnitm_1",
            "price_id": price_id,
            "quantity": quantity,
            "total": 1,
            "tax": 0,
            "prorated": prorated,
        }

    starter, dear, credit = (row.paddle_price_id for row in (price("starter"), price("pro"), price("pro", "credit")))
    year = {"period_starts_at": datetime(2025, 12, 31, tzinfo=UTC), "period_ends_at": datetime(2026, 1, 31, tzinfo=UTC)}
    change = {"origin": "subscription_update"}
    cases: list[tuple[list[dict[str, Any]], dict[str, Any], str]] = [
        ([line(credit)], {}, "1 additional credit"),
        ([line(credit, 1200)], {}, "1,200 additional credits"),
        ([line(dear)], year, "Pro, 31 Dec 2025 – 31 Jan 2026"),
        ([line(dear)], {}, "Pro"),
        ([line(dear), line(credit, 5)], {}, "Pro + 5 additional credits"),
        ([line(dear, prorated=True), line(starter, -1, prorated=True)], change, "Upgrade to Pro"),
        ([line(starter, prorated=True), line(dear, -1, prorated=True)], change, "Change to Starter"),
        ([line(dear)], change, "Change to Pro"),
        ([line("pri_unknown")], {}, "Payment"),
        ([], {}, "Payment"),
        ([line(dear)], {"origin": "subscription_payment_method_change"}, "Card changed"),
    ]
    for number, (lines, changes, _) in enumerate(cases):
        paid(alice, number, line_items=lines, **changes)
    paid(alice, 99, origin="subscription_payment_method_change", grand_total=0)
    assert [row["For"] for row in rows(page(browser))] == [shown for *_, shown in cases]


def test_what_was_free_has_no_invoice(browser: Client, store: Store, alice: User) -> None:  # B8
    paid(alice, 1, total=0, grand_total=0, tax=0)
    html = page(browser)
    assert rows(html)[0]["Invoice"] == "–"
    assert "/invoice" not in html


def test_payments_come_twenty_a_page(browser: Client, store: Store, alice: User, charlie: User) -> None:  # B8 B10
    for number in range(45):
        paid(alice, number)
    paid(charlie, 77)
    seen = []
    for number, count in ((1, 20), (2, 20), (3, 5)):
        html = page(browser, f"{HOME}?page={number}")
        found = re.findall(r"payments/(txn_\d+)/invoice", html)
        assert len(found) == count
        assert f"{number * 20 - 19}–{min(number * 20, 45)} of 45 payments" in words(html)
        seen += found
    assert seen == [f"txn_{number:05}" for number in range(45)]
    region = page(browser, f"{HOME}?page=2", headers={"HX-Request": "true", "HX-Target": "payments"})
    assert region.strip().startswith('<div id="payments">')
    assert "plan-card" not in region
    for odd in ("0", "4", "-1", "x", "٣", "9" * 40, "%00"):
        html = page(browser, f"{HOME}?page={odd}")
        assert "pages go from 1 to 3. This is the first." in words(html)
        assert len(rows(html)) == 20


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


def test_spans_of_days_name_a_year_once() -> None:
    from zoneinfo import ZoneInfo

    utc = ZoneInfo("UTC")
    assert (
        payment_history.span(datetime(2026, 3, 16, tzinfo=UTC), datetime(2026, 4, 16, tzinfo=UTC), utc)
        == "16 Mar – 16 Apr 2026"
    )
