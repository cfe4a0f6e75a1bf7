"""Buying plans and credits, and the page where they are paid."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from html import escape
from uuid import uuid4

import pytest
import time_machine
from django.test import Client
from pytest_django import Settings

from billing.models import PlanPrice, Purchase, Transaction
from credits.models import Grant
from sidekick.accounts.models import User
from sidekick.serving import shares
from sidekick.serving.shares import EXTERNAL_SERVICES
from tests.billing.pages.reading import ACT, HOME, NOW, PANEL, SWAP, buy, page, rows, said, words
from tests.billing.store import Store, price

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


SignIn = Callable[[Client, User], None]


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
    number = re.search(r'<input type="text"[^>]*>', html)
    assert slider
    assert number
    assert 'min="1" max="300" value="100"' in slider[0]
    assert 'inputmode="numeric"' in number[0]
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


WRONG = "Choose a whole number from 7 to 300, in plain digits."
NO_NUMBERS = ["0", "301", "-5", "-3", "+7", "1.5", "5.5", "8.0", "", " ", "１３７", "1e2", "0x10", "1_0", "1,000",
              "1.000", "5²", "99999", "9" * 30, "9" * 6000, "<b>7"]  # fmt: skip


@pytest.mark.parametrize(
    ("quantity", "sentence"),
    [*((typed, WRONG) for typed in NO_NUMBERS),
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
    assert "× $0.10 = –" in words(html)
    typed = re.search(r'<input type="text"[^>]*>', html)
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


@pytest.mark.parametrize(("typed", "quantity"), [("7", 7), ("300", 300), (" 50 ", 50), ("\xa050", 50), ("007", 7)])
def test_the_least_and_the_most_can_be_bought(
    browser: Client, store: Store, pro: str, typed: str, quantity: int
) -> None:  # B4
    assert buy(browser, typed).status_code == 303
    assert Purchase.objects.filter(quantity=quantity, amount=10 * quantity).count() == 1


def test_a_price_that_changed_while_the_form_was_open_is_said_before_anything_is_charged(
    browser: Client, pro: str
) -> None:  # B4
    shown = re.search(r'name="unit" value="(\d+)"', page(browser))
    assert shown
    PlanPrice.objects.filter(pk=price("pro", "credit").pk).update(amount=12)
    data = {"quantity": "50", "token": uuid4(), "unit": shown[1]}
    refused = browser.post(f"{HOME}/credits", data)
    assert refused.status_code == 422
    html = refused.content.decode()
    assert "A credit costs $0.12 now. Check the total, then purchase again." in words(html)
    assert "× $0.12 = $6.00" in words(html)
    assert not Purchase.objects.filter(quantity=50).exists()
    assert browser.post(f"{HOME}/credits", {**data, "unit": "12"}).status_code == 303


def test_limits_that_changed_while_the_form_was_open_are_the_servers(browser: Client, pro: str) -> None:  # B4
    PlanPrice.objects.filter(pk=price("pro", "credit").pk).update(most=40)
    html = buy(browser, 50).content.decode()
    assert "Choose a whole number from 7 to 40, in plain digits." in words(html)
    assert 'data-most="40"' in html


def test_the_least_follows_the_setting(browser: Client, pro: str, settings: Settings) -> None:  # B4
    settings.PADDLE_MINIMUM_CHARGE = 205
    assert "Paddle doesn’t charge less than $2.05: choose 21 credits or more." in page(browser)
    assert buy(browser, 20).status_code == 422


def test_the_same_form_sent_twice_is_one_purchase(browser: Client, pro: str) -> None:  # B4
    token = uuid4()
    first, second = buy(browser, 137, token=token), buy(browser, 137, token=token)
    assert first["Location"] == second["Location"]
    assert Purchase.objects.filter(quantity=137).count() == 1


def test_while_others_wait_for_paddle_the_form_says_so_and_keeps_its_number(
    browser: Client, pro: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:  # B4 O6
    settings.WEB_THREADS = 1
    monkeypatch.setattr(shares._thread, "serves_pages", True, raising=False)
    with EXTERNAL_SERVICES.place():
        turned_away, swapped = buy(browser, 137), buy(browser, 137, headers=PANEL)
    assert (turned_away.status_code, turned_away["Retry-After"]) == (503, "10")
    for answer in (turned_away, swapped):
        html = answer.content.decode()
        assert "Paddle, which handles our payments, is slow right now. Nothing was changed" in words(html)
        assert 'value="137"' in html
    assert buy(browser, 137).status_code == 303


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
    assert "Purchase Credits" in html


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


def test_one_customer_can_not_use_up_paddles_patience(browser: Client, store: Store, alice: User, pro: str) -> None:
    # B10
    statuses = [buy(browser, 137).status_code for _ in range(11)]
    assert statuses == [303] * 10 + [429]
    assert Purchase.objects.filter(quantity=137).count() == 10
