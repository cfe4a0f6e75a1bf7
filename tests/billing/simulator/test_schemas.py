"""Every entity has every field that Paddle sends, of the same type."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.billing.simulator.shop import Shop

RECORDED = Path(__file__).parents[4] / "shared" / "paddle" / "events"

PRODUCT = {
    "id", "name", "type", "status", "image_url", "created_at", "updated_at", "custom_data", "description",
    "tax_category", "import_meta",
}  # fmt: skip
PRICE = {
    "id", "name", "type", "status", "quantity", "tax_mode", "created_at", "product_id", "unit_price", "updated_at",
    "custom_data", "description", "trial_period", "billing_cycle", "unit_price_overrides", "import_meta",
}  # fmt: skip
CUSTOMER = {
    "id", "name", "email", "locale", "status", "created_at", "updated_at", "custom_data", "import_meta",
    "marketing_consent",
}  # fmt: skip
ADDRESS = {
    "id", "city", "region", "status", "created_at", "first_line", "updated_at", "custom_data", "customer_id",
    "description", "import_meta", "postal_code", "second_line", "country_code",
}  # fmt: skip
TRANSACTION = {
    "id", "items", "origin", "status", "details", "checkout", "payments", "billed_at", "address_id", "created_at",
    "invoice_id", "updated_at", "revised_at", "business_id", "custom_data", "customer_id", "discount_id",
    "currency_code", "billing_period", "invoice_number", "billing_details", "collection_mode", "subscription_id",
}  # fmt: skip
DETAILS = {
    "totals", "line_items", "payout_totals", "tax_rates_used", "adjusted_totals", "adjusted_payout_totals",
}  # fmt: skip
TOTALS = {
    "fee", "tax", "total", "credit", "balance", "discount", "earnings", "subtotal", "grand_total", "currency_code",
    "credit_to_balance", "grand_total_tax",
}  # fmt: skip
LINE_ITEM = {"id", "totals", "product", "price_id", "quantity", "proration", "tax_rate", "unit_totals"}
PAYMENT = {
    "amount", "status", "created_at", "error_code", "captured_at", "method_details", "payment_method_id",
    "payment_attempt_id", "stored_payment_method_id",
}  # fmt: skip
SUBSCRIPTION = {
    "id", "items", "status", "discount", "paused_at", "address_id", "created_at", "started_at", "updated_at",
    "business_id", "canceled_at", "custom_data", "customer_id", "import_meta", "billing_cycle", "currency_code",
    "next_billed_at", "billing_details", "collection_mode", "first_billed_at", "scheduled_change",
    "current_billing_period",
}  # fmt: skip
SUBSCRIPTION_ITEM = {
    "price", "product", "status", "quantity", "recurring", "created_at", "updated_at", "trial_dates",
    "next_billed_at", "previously_billed_at",
}  # fmt: skip
ADJUSTMENT = {
    "id", "items", "action", "type", "reason", "status", "totals", "created_at", "updated_at", "customer_id",
    "currency_code", "payout_totals", "transaction_id", "subscription_id", "credit_applied_to_balance",
    "tax_rates_used",
}  # fmt: skip
PAYMENT_METHOD = {"id", "customer_id", "address_id", "type", "origin", "saved_at", "updated_at"}


def lived() -> Shop:
    """A shop where everything has happened."""
    shop = Shop()
    customer = shop.customer("alice@example.com", custom_data={"account_id": "a"})
    shop.buy("credit", 137, customer_id=customer)
    failing = shop.order("credit", 10, customer_id=customer)
    shop.world.pay(failing["id"], "declined")
    trial = shop.subscribe("trial", customer_id=customer)
    shop.world.renew(trial)
    running = shop.subscribe(customer_id=customer)
    items = [{"price_id": shop.price["pro"], "quantity": 1}]
    shop.patch(f"/subscriptions/{running}", items=items, proration_billing_mode="prorated_immediately")
    shop.world.fail_next_payment(running)
    shop.world.renew(running)
    shop.world.pay_overdue(running)
    shop.world.pause(running)
    shop.world.resume(running)
    shop.post(f"/subscriptions/{running}/cancel")
    for transaction in shop.get("/transactions?status=completed"):
        if transaction["details"]["totals"]["grand_total"] != "0":
            shop.world.refund(transaction["id"])
    return shop


@pytest.fixture(scope="module")
def told() -> list[Any]:
    return lived().world.state.events()


def of(told: list[Any], kind: str) -> Iterator[Any]:
    found = [row["data"] for row in told if row["event_type"].startswith(f"{kind}.")]
    assert found
    yield from found


def test_catalogue(told: list[Any]) -> None:
    assert {frozenset(row) for row in of(told, "product")} == {frozenset(PRODUCT)}
    assert {frozenset(row) for row in of(told, "price")} == {frozenset(PRICE)}


def test_customers(told: list[Any]) -> None:
    assert {frozenset(row) for row in of(told, "customer")} == {frozenset(CUSTOMER)}
    assert {frozenset(row) for row in of(told, "address")} == {frozenset(ADDRESS)}
    assert {frozenset(row) for row in of(told, "payment_method")} == {frozenset(PAYMENT_METHOD)}


def test_transactions(told: list[Any]) -> None:  # P7
    for row in of(told, "transaction"):
        assert set(row) == TRANSACTION
        assert set(row["details"]) == DETAILS
        assert set(row["details"]["totals"]) == TOTALS
        assert all(set(line) == LINE_ITEM for line in row["details"]["line_items"])
        assert all(set(line["product"]) == PRODUCT for line in row["details"]["line_items"])
        assert all(set(item) == {"price", "quantity", "proration"} for item in row["items"])
        assert all(set(item["price"]) == PRICE for item in row["items"])
        assert all(set(payment) == PAYMENT for payment in row["payments"])
        for name, amount in row["details"]["totals"].items():
            assert name == "currency_code" or amount is None or int(amount) == int(str(amount))
            assert amount is None or isinstance(amount, str)


def test_subscriptions(told: list[Any]) -> None:
    for row in told:
        if row["event_type"].startswith("subscription."):
            more = {"transaction_id"} if row["event_type"] == "subscription.created" else set()
            assert set(row["data"]) == SUBSCRIPTION | more
            assert all(set(item) == SUBSCRIPTION_ITEM for item in row["data"]["items"])
            assert all(set(item["price"]) == PRICE for item in row["data"]["items"])


def test_adjustments(told: list[Any]) -> None:
    for row in of(told, "adjustment"):
        assert set(row) == ADJUSTMENT
        assert all(set(item) == {"id", "type", "amount", "totals", "item_id", "proration"} for item in row["items"])


def test_a_snapshot_does_not_change_with_its_entity(told: list[Any]) -> None:
    [first] = [row for row in told if row["event_type"] == "transaction.created"][:1]
    assert (first["data"]["status"], first["data"]["payments"]) == ("draft", [])


def test_api_only_fields_are_of_the_api_only(told: list[Any]) -> None:
    shop = Shop()
    subscription = shop.subscribe()
    assert set(shop.get(f"/subscriptions/{subscription}")) == SUBSCRIPTION | {"management_urls"}
    assert all("management_urls" not in row["data"] for row in told)


def recorded() -> list[Path]:
    return sorted(RECORDED.glob("*.json")) if RECORDED.is_dir() else []


@pytest.mark.skipif(not recorded(), reason="Paddle's recorded events are not here.")
@pytest.mark.parametrize("path", recorded(), ids=lambda path: path.stem)
def test_events_have_the_fields_that_paddle_recorded(told: list[Any], path: Path) -> None:
    theirs = json.loads(path.read_text())
    ours = [row for row in told if row["event_type"] == theirs["event_type"]]
    if not ours:
        ours = [row for row in told if row["event_type"].partition(".")[0] == theirs["event_type"].partition(".")[0]]
    assert ours
    closest = min((differences(row["data"], theirs["data"]) for row in ours), key=len)
    assert closest == []


def differences(ours: Any, theirs: Any, at: str = "") -> list[str]:
    """Returns where the two differ in keys or types. None and free JSON fit everything."""
    if ours is None or theirs is None or at.endswith(("custom_data", "unit_price_overrides")):
        return []
    if type(ours) is not type(theirs):
        return [f"{at}: {type(ours).__name__}, not {type(theirs).__name__}"]
    if isinstance(ours, dict):
        found = [f"{at}.{key}" for key in ours.keys() ^ theirs.keys()]
        for key in ours.keys() & theirs.keys():
            found += differences(ours[key], theirs[key], f"{at}.{key}")
        return found
    if isinstance(ours, list):
        return differences(ours[0], theirs[0], f"{at}[]") if ours and theirs else []
    return []
