"""The customer portal and invoices."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import pytest
import time_machine

from billing.simulator.server import Server
from tests.billing.simulator.shop import ApiError, Shop, fetch


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
