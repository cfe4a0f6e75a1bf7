"""Amounts: tax, rounding, proration, credit and fees."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from billing.simulator.commerce import money
from billing.simulator.commerce.money import Line
from billing.simulator.schemas.times import Period
from tests.billing.simulator.shop import Shop

TAX = Decimal("0.08875")


def line(amount: int, quantity: int = 1, rate: str | None = None, **price: Any) -> Line:
    """A line with only the fields that sums read."""
    prices: Any = {"id": "pri_1", "tax_mode": "account_setting", "unit_price": {"amount": str(amount)}} | price
    product: Any = {}
    proration: Any = {"rate": rate, "billing_period": {}} if rate else None
    return Line(id="txnitm_1", price=prices, product=product, quantity=quantity, proration=proration)


def test_an_upgrade_adds_up_as_paddle_recorded_it() -> None:  # P7
    details = money.details([line(4900, 1, "0.54481"), line(1900, -1, "0.54481")], tax=TAX, currency="USD")
    added, removed = details["line_items"]
    assert added["totals"] == {"subtotal": "2670", "discount": "0", "tax": "237", "total": "2907"}
    assert removed["totals"] == {"subtotal": "-1035", "discount": "0", "tax": "-92", "total": "-1127"}
    assert removed["unit_totals"] == {"subtotal": "1035", "discount": "0", "tax": "92", "total": "1127"}
    assert (details["totals"]["grand_total"], details["totals"]["tax"]) == ("1780", "145")
    assert details["tax_rates_used"][0]["tax_rate"] == "0.08875"


def test_a_purchase_adds_up_as_paddle_recorded_it() -> None:
    details = money.details([line(25, 137)], tax=TAX, currency="USD")
    assert details["line_items"][0]["unit_totals"] == {"subtotal": "25", "discount": "0", "tax": "2", "total": "27"}
    money.close(details)
    totals = details["totals"]
    assert (totals["total"], totals["fee"], totals["earnings"], totals["balance"]) == ("3729", "236", "3189", "0")
    assert details["payout_totals"]
    assert details["payout_totals"]["exchange_rate"] == "1"
    assert details["adjusted_totals"]["earnings"] == "3189"


def test_the_share_of_a_period_is_as_paddle_recorded_it() -> None:
    period: Period = {"starts_at": "2026-03-16T09:20:11.482000Z", "ends_at": "2026-04-16T09:20:11.482000Z"}
    assert str(money.share_left(period, datetime(2026, 3, 30, 12, tzinfo=UTC))) == "0.54481"
    assert money.share_left(period, datetime(2026, 3, 1, tzinfo=UTC)) == 1
    assert money.share_left(period, datetime(2026, 5, 1, tzinfo=UTC)) == 0


def test_what_is_given_back_becomes_credit_and_is_never_charged() -> None:
    totals = money.details([line(1500, 1), line(3900, -1)], tax=Decimal("0.2"), currency="USD")["totals"]
    assert totals["total"] == "-2880"
    assert (totals["grand_total"], totals["balance"], totals["credit_to_balance"]) == ("0", "0", "2880")


@pytest.mark.parametrize(("credit", "used", "due"), [(0, "0", "1800"), (500, "500", "1300"), (9000, "1800", "0")])
def test_credit_lowers_what_is_due_and_no_further_than_nothing(credit: int, used: str, due: str) -> None:
    totals = money.details([line(1500)], tax=Decimal("0.2"), currency="USD", credit=credit)["totals"]
    assert (totals["credit"], totals["grand_total"], totals["total"]) == (used, due, "1800")


def test_an_internal_price_has_its_tax_inside() -> None:
    details = money.details([line(1200, tax_mode="internal")], tax=Decimal("0.2"), currency="USD")
    totals = details["totals"]
    assert (totals["subtotal"], totals["tax"], totals["total"]) == ("1000", "200", "1200")


def test_half_a_cent_is_rounded_away_from_nothing() -> None:
    assert [money.rounded(Decimal(text)) for text in ("0.5", "1.5", "-0.5", "0.49")] == [1, 2, -1, 0]


def test_the_tax_of_a_draft_is_not_known_yet(shop: Shop) -> None:
    draft = shop.order("credit", 137)
    assert draft["details"]["totals"]["grand_total"] == "1370"
    assert draft["details"]["line_items"][0]["tax_rate"] == "0"
    shop.world.pay(draft["id"])
    assert shop.get(f"/transactions/{draft['id']}")["details"]["totals"]["grand_total"] == "1644"


def test_another_tax_can_be_asked_for() -> None:
    shop = Shop(tax=875)
    assert shop.buy("credit", 100)["details"]["totals"]["tax"] == "88"


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [(1644, "USD", "$16.44"), ("-300", "USD", "-$3.00"), (123456789, "EUR", "€1,234,567.89"), (5, "CHF", "0.05 CHF")],
)
def test_amounts_are_written_as_people_do(amount: int | str, currency: str, words: str) -> None:
    assert money.written(amount, currency) == words
