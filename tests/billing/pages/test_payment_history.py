"""The payment history."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from billing.pages import payment_history
from sidekick.accounts.models import User
from tests.billing.pages.reading import HOME, adjusted, page, paid, rows, words
from tests.billing.store import Store, price

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


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
    for odd in ("0", "4", "-1", "x", "٣", "9" * 40):
        html = page(browser, f"{HOME}?page={odd}")
        assert "pages go from 1 to 3. This is the first." in words(html)
        assert len(rows(html)) == 20


def test_spans_of_days_name_a_year_once() -> None:
    from zoneinfo import ZoneInfo

    utc = ZoneInfo("UTC")
    assert (
        payment_history.span(datetime(2026, 3, 16, tzinfo=UTC), datetime(2026, 4, 16, tzinfo=UTC), utc)
        == "16 Mar – 16 Apr 2026"
    )
