"""Paying with each of the cards: the events, and the address to return to."""

from __future__ import annotations

import pytest

from billing.simulator.commerce import checkout
from billing.simulator.errors import RequestError
from tests.billing.simulator.shop import Shop

HOME = "http://localhost:8000/dashboard/billing"


def test_paying_for_a_plan_tells_it_in_the_observed_order(shop: Shop) -> None:  # P7
    made = shop.order("starter", customer_id=shop.customer(), custom_data={"account_id": "a"})
    mark = shop.mark()
    shop.world.pay(made["id"])
    assert shop.since(mark) == [
        "address.created",
        "transaction.ready",
        "transaction.paid",
        "transaction.updated",
        "subscription.created",
        "subscription.activated",
        "transaction.updated",
        "transaction.completed",
        "payment_method.saved",
    ]
    paid, completed = shop.last("transaction.paid")["data"], shop.last("transaction.completed")["data"]
    assert (paid["status"], paid["subscription_id"], paid["invoice_number"]) == ("paid", None, None)
    assert completed["subscription_id"] == shop.last("subscription.created")["data"]["id"]
    assert completed["invoice_number"]
    assert shop.last("subscription.created")["data"]["transaction_id"] == made["id"]
    assert "transaction_id" not in shop.last("subscription.activated")["data"]
    saved = shop.last("payment_method.saved")["data"]
    assert saved["id"] == completed["payments"][0]["payment_method_id"]


def test_paying_for_credits_makes_no_subscription(shop: Shop) -> None:
    paid = shop.buy("credit", 137, customer_id=shop.customer(), custom_data={"purchase_id": "p"})
    assert (paid["status"], paid["subscription_id"]) == ("completed", None)
    assert paid["details"]["line_items"][0]["quantity"] == 137
    assert paid["details"]["totals"]["grand_total"] == "1644"
    assert shop.world.state.subscriptions.rows() == []


def test_custom_data_follows_from_transaction_to_subscription_to_renewal(shop: Shop) -> None:
    subscription = shop.subscribe(custom_data={"account_id": "a"})
    shop.world.renew(subscription)
    assert shop.get(f"/subscriptions/{subscription}")["custom_data"] == {"account_id": "a"}
    assert shop.last("transaction.completed")["data"]["custom_data"] == {"account_id": "a"}


def test_a_declined_card_leaves_the_transaction_ready(shop: Shop) -> None:
    declined = shop.buy("credit", 10, card="declined", customer_id=shop.customer())
    assert declined["status"] == "ready"
    assert [attempt["error_code"] for attempt in declined["payments"]] == ["declined"]
    assert shop.events(declined["id"])[-1] == "transaction.payment_failed"
    shop.world.pay(declined["id"])
    paid = shop.get(f"/transactions/{declined['id']}")
    assert paid["status"] == "completed"
    assert [attempt["status"] for attempt in paid["payments"]] == ["captured", "error"]


def test_a_paid_transaction_is_not_paid_again(shop: Shop) -> None:
    paid = shop.buy("credit", 10)
    mark = shop.mark()
    with pytest.raises(RequestError) as refused:
        shop.world.pay(paid["id"])
    assert refused.value.code == "transaction_not_ready_cannot_process_payment"
    assert shop.since(mark) == []


def test_a_canceled_transaction_is_not_paid(shop: Shop) -> None:
    made = shop.order("credit", 10)
    shop.patch(f"/transactions/{made['id']}", status="canceled")
    with pytest.raises(RequestError):
        shop.world.pay(made["id"])


def test_a_trial_costs_nothing_and_has_no_invoice(shop: Shop) -> None:
    paid = shop.buy("trial", customer_id=shop.customer())
    assert paid["details"]["totals"]["grand_total"] == "0"
    assert paid["invoice_number"] is None
    assert "subscription.trialing" in shop.events(paid["subscription_id"])
    subscription = shop.get(f"/subscriptions/{paid['subscription_id']}")
    assert (subscription["status"], subscription["first_billed_at"]) == ("trialing", None)
    assert subscription["items"][0]["trial_dates"] == subscription["current_billing_period"]


def test_without_a_customer_the_checkout_takes_the_email_and_finds_who_has_it(shop: Shop) -> None:
    alice = shop.customer("alice@example.com")
    made = shop.order("credit", 10)
    assert shop.world.pay(made["id"], email="ALICE@example.com")["customer_id"] == alice
    other = shop.order("credit", 10)
    assert shop.world.pay(other["id"], email="new@example.com")["customer_id"] != alice
    with pytest.raises(RequestError):
        shop.world.pay(shop.order("credit", 10)["id"], email="@")


def test_a_card_whose_next_payment_fails_pays_once(shop: Shop) -> None:
    subscription = shop.subscribe(card="fails_later")
    assert shop.get(f"/subscriptions/{subscription}")["status"] == "active"
    shop.world.renew(subscription)
    assert shop.get(f"/subscriptions/{subscription}")["status"] == "past_due"


def test_a_new_card_for_nothing_makes_the_next_payment_succeed(shop: Shop) -> None:
    subscription = shop.subscribe(card="fails_later")
    made = shop.get(f"/subscriptions/{subscription}/update-payment-method-transaction")
    assert (made["origin"], made["status"]) == ("subscription_payment_method_change", "ready")
    assert made["details"]["totals"]["grand_total"] == "0"
    shop.world.pay(made["id"])
    completed = shop.get(f"/transactions/{made['id']}")
    assert (completed["status"], completed["invoice_number"]) == ("completed", None)
    shop.world.renew(subscription)
    assert shop.get(f"/subscriptions/{subscription}")["status"] == "active"


def test_a_new_card_for_what_is_overdue_pays_it(shop: Shop) -> None:
    subscription = shop.subscribe(card="fails_later")
    shop.world.renew(subscription)
    overdue = shop.get(f"/subscriptions/{subscription}/update-payment-method-transaction")
    assert overdue["status"] == "past_due"
    mark = shop.mark()
    shop.world.pay(overdue["id"])
    assert shop.since(mark) == [
        "transaction.paid",
        "transaction.completed",
        "subscription.activated",
        "payment_method.saved",
    ]
    assert shop.get(f"/transactions/{overdue['id']}")["details"]["totals"]["grand_total"] == "1800"


def test_the_way_back_is_the_payment_links_dashboard_unless_told(shop: Shop) -> None:
    assert checkout.return_url(shop.world.state, "", "closed") == f"{HOME}?checkout=closed"
    told = checkout.return_url(shop.world.state, "http://127.0.0.1:9/a?b=c#d", "completed")
    assert told == "http://127.0.0.1:9/a?b=c&checkout=completed#d"
