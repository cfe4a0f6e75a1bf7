"""Links to Paddle."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from pytest_django import Settings

from billing.models import Customer, Subscription, Transaction
from sidekick.accounts.models import User
from tests.billing.pages.reading import ACT, HOME, page, rows, said, words
from tests.billing.store import Store

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


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


def test_a_plan_that_another_customer_pays_does_not_bar_the_portal(  # B7 B10
    other: Client, store: Store, alice: User, charlie: User, pro: str
) -> None:
    subscription = store.subscribe(charlie, "starter")
    payer = Customer.objects.get(account=alice).id
    Subscription.objects.filter(id=subscription).update(customer_id=payer)
    with store.world.changing() as state:
        state.subscriptions.get(subscription)["customer_id"] = payer
    # Paddle refuses a portal session for a subscription of another customer.
    response = other.post(f"{HOME}/portal")
    assert response.status_code == 303
    assert f"/portal/{Customer.objects.get(account=charlie).id}?" in response["Location"]


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


def test_what_is_not_paid_has_no_invoice(browser: Client, store: Store, alice: User) -> None:  # B7 B8
    unpaid = store.buy(alice, "pro", pay="")
    assert alice.transactions.get().status in {"draft", "ready"}
    assert browser.get(f"/dashboard/billing/payments/{unpaid.transaction_id}/invoice").status_code == 404
