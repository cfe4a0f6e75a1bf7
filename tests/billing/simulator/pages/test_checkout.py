"""The checkout page."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from billing.simulator.server import Server
from tests.billing.simulator.shop import Shop, fetch

HOME = "http://localhost:8000/dashboard/billing"


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


def test_an_unknown_transaction_has_no_checkout(served: Server) -> None:
    assert fetch(f"{served.url}/checkout/txn_01kjpxe0m12359x5ma4pc5q2an")[0] == 404


def test_what_a_seller_wrote_cannot_become_markup(shop: Shop, served: Server) -> None:
    shop.sell("<script>alert(1)</script>", 100)
    made = shop.order("<script>alert(1)</script>")
    assert "<script" not in open_page(served, made["id"])
