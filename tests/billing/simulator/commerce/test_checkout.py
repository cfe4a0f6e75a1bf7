"""Paying: what each card does, what is told of it, and where the customer ends up."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import pytest
import time_machine

from billing.simulator.commerce import checkout
from billing.simulator.errors import RequestError
from billing.simulator.server import Server
from tests.billing.simulator.shop import ApiError, Shop, fetch

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


# The page


def open_page(served: Server, transaction_id: str, return_to: str = "") -> str:
    query = f"?{urlencode({'return_to': return_to})}" if return_to else ""
    status, body, headers = fetch(f"{served.url}/checkout/{transaction_id}{query}")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    return body.decode()


def submit(served: Server, transaction_id: str, verb: str, **fields: str) -> tuple[int, str]:
    url = f"{served.url}/checkout/{transaction_id}/{verb}"
    status, _, headers = fetch(url, data=urlencode(fields).encode(), headers={"Origin": served.url})
    return status, headers.get("Location", "")


def test_the_page_says_what_is_bought_and_what_it_costs(shop: Shop, served: Server) -> None:
    made = shop.order("credit", 137, customer_id=shop.customer("alice@example.com"))
    page = open_page(served, made["id"])
    for words in ("Paddle simulator", "no real money", "Sidekick credit", "× 137", "$13.70", "$2.74", "$16.44"):
        assert words in page
    assert "alice@example.com" in page
    assert 'name="email"' not in page
    assert "<script" not in page


def test_paying_on_the_page_returns_with_the_outcome(shop: Shop, served: Server) -> None:
    made = shop.order("credit", 10, customer_id=shop.customer())
    back = f"{HOME}?purchase=7&checkout=old"
    assert f"{HOME}?purchase=7" in open_page(served, made["id"], back)
    status, location = submit(served, made["id"], "pay", card="good", return_to=back)
    assert (status, location) == (303, f"{HOME}?purchase=7&checkout=completed")
    assert shop.get(f"/transactions/{made['id']}")["status"] == "completed"
    assert "nothing left to pay" in open_page(served, made["id"])


def test_the_email_typed_on_the_page_becomes_the_customer(shop: Shop, served: Server) -> None:
    made = shop.order("starter")
    assert 'name="email"' in open_page(served, made["id"])
    submit(served, made["id"], "pay", card="good", email="bob@example.com")
    assert shop.world.state.customers.rows()[0]["email"] == "bob@example.com"


def test_closing_changes_nothing(shop: Shop, served: Server) -> None:
    made = shop.order("credit", 10)
    mark = shop.mark()
    assert submit(served, made["id"], "close") == (303, f"{HOME}?checkout=closed")
    assert shop.since(mark) == []


def test_a_declined_card_is_shown_and_can_be_changed(shop: Shop, served: Server) -> None:
    made = shop.order("credit", 10, customer_id=shop.customer())
    status, location = submit(served, made["id"], "pay", card="declined", return_to=HOME)
    assert status == 303
    assert location.startswith(f"/checkout/{made['id']}?return_to=")
    page = open_page(served, made["id"], HOME)
    assert "The card was declined" in page
    assert submit(served, made["id"], "pay", card="good", return_to=HOME) == (303, f"{HOME}?checkout=completed")


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "http://evil.example/",
        "http://localhost.evil.example/",
        "http://localhost@evil.example/",
        "http://evil.example\\@localhost/",
        "//evil.example/",
        "https://localhost:8000/",
        "javascript:alert(1)",
        "/dashboard",
    ],
)
def test_the_checkout_returns_to_this_machine_only(shop: Shop, served: Server, address: str) -> None:
    made = shop.order("credit", 10, customer_id=shop.customer())
    query = urlencode({"return_to": address})
    assert fetch(f"{served.url}/checkout/{made['id']}?{query}")[0] == 400
    for verb in ("pay", "close"):
        assert submit(served, made["id"], verb, card="good", return_to=address) == (400, "")
    assert shop.get(f"/transactions/{made['id']}")["status"] == "draft"


def test_the_way_back_is_the_payment_links_dashboard_unless_told(shop: Shop) -> None:
    assert checkout.return_url(shop.world.state, "", "closed") == f"{HOME}?checkout=closed"
    told = checkout.return_url(shop.world.state, "http://127.0.0.1:9/a?b=c#d", "completed")
    assert told == "http://127.0.0.1:9/a?b=c&checkout=completed#d"


def test_an_unknown_transaction_has_no_checkout(served: Server) -> None:
    assert fetch(f"{served.url}/checkout/txn_01kjpxe0m12359x5ma4pc5q2an")[0] == 404


def test_what_a_seller_wrote_cannot_become_markup(shop: Shop, served: Server) -> None:
    shop.sell("<script>alert(1)</script>", 100)
    made = shop.order("<script>alert(1)</script>")
    assert "<script" not in open_page(served, made["id"])


# Invoices and the portal


def test_an_invoice_is_a_pdf_for_an_hour(shop: Shop, served: Server) -> None:
    paid = shop.buy("credit", 137, customer_id=shop.customer("alice@example.com"))
    link = shop.get(f"/transactions/{paid['id']}/invoice?disposition=inline")["url"]
    local = link.replace("http://localhost:8010", served.url)
    status, body, headers = fetch(local)
    assert (status, headers["Content-Type"]) == (200, "application/pdf")
    assert headers["Content-Disposition"].startswith("inline")
    assert body.startswith(b"%PDF-1.4")
    assert body.endswith(b"%%EOF\n")
    for words in (paid["invoice_number"], "137 x Sidekick credit", "$13.70", "$16.44", "alice@example.com"):
        assert words.encode() in body
    assert fetch(local.replace("signature=", "signature=0"))[0] == 404
    assert fetch(local.partition("?")[0])[0] == 404


def test_an_invoice_link_ends_after_an_hour(shop: Shop, served: Server) -> None:
    paid = shop.buy("credit", 137)
    with time_machine.travel(shop.world.now() - timedelta(hours=2)):
        old = shop.get(f"/transactions/{paid['id']}/invoice")["url"]
    assert fetch(old.replace("http://localhost:8010", served.url))[0] == 404


def test_what_was_free_or_unpaid_has_no_invoice(shop: Shop) -> None:
    for transaction in (shop.buy("trial"), shop.order("credit", 10)):
        with pytest.raises(ApiError) as refused:
            shop.get(f"/transactions/{transaction['id']}/invoice")
        assert refused.value.status == 404


def test_the_portal_cancels_and_changes_cards_for_who_holds_its_link(shop: Shop, served: Server) -> None:
    subscription = shop.subscribe()
    customer = shop.get(f"/subscriptions/{subscription}")["customer_id"]
    session = shop.post(f"/customers/{customer}/portal-sessions", subscription_ids=[subscription])
    link = session["urls"]["general"]["overview"].replace("http://localhost:8010", served.url)
    status, page, _ = fetch(link)
    assert status == 200
    assert b"Sidekick starter" in page
    path, _, query = link.partition("?")
    body = urlencode({"id": subscription}).encode()
    status, _, headers = fetch(f"{path}/card?{query}", data=body)
    assert (status, headers["Location"].startswith("/checkout/txn_")) == (303, True)
    assert fetch(f"{path}/cancel?{query}", data=body)[0] == 303
    assert shop.get(f"/subscriptions/{subscription}")["scheduled_change"]["action"] == "cancel"
    assert fetch(path)[0] == 404
    assert fetch(f"{path}/cancel", data=body)[0] == 404


def test_the_portal_touches_no_subscription_of_another_customer(shop: Shop, served: Server) -> None:
    theirs = shop.subscribe(customer_id=shop.customer("charlie@example.com"))
    session = shop.post(f"/customers/{shop.customer('alice@example.com')}/portal-sessions")
    path, _, query = session["urls"]["general"]["overview"].replace("http://localhost:8010", served.url).partition("?")
    assert fetch(f"{path}/cancel?{query}", data=urlencode({"id": theirs}).encode())[0] == 404
    assert shop.get(f"/subscriptions/{theirs}")["scheduled_change"] is None
