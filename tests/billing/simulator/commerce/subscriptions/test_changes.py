"""Changing a subscription's items: the bill in each mode, and the changes that Paddle refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from tests.billing.simulator.shop import ApiError, Shop

STARTED = datetime(2026, 4, 1, tzinfo=UTC)
HALF = timedelta(days=15)


@pytest.fixture(autouse=True)
def april() -> Iterator[None]:
    """A month of 30 days: 15 days are half of it."""
    with time_machine.travel(STARTED, tick=False):
        yield


@pytest.fixture
def running(shop: Shop) -> str:
    """Starter, half a period old."""
    subscription = shop.subscribe()
    shop.world.move(HALF)
    return subscription


def change(shop: Shop, subscription: str, plan: str, mode: str = "prorated_immediately", **more: Any) -> Any:
    items = [{"price_id": shop.price[plan], "quantity": 1}]
    return shop.patch(f"/subscriptions/{subscription}", items=items, proration_billing_mode=mode, **more)


def preview(shop: Shop, subscription: str, plan: str, mode: str = "prorated_immediately") -> Any:
    items = [{"price_id": shop.price[plan], "quantity": 1}]
    return shop.patch(f"/subscriptions/{subscription}/preview", items=items, proration_billing_mode=mode)


def owed(shop: Shop, subscription: str) -> int:
    customer = shop.get(f"/subscriptions/{subscription}")["customer_id"]
    balances = shop.get(f"/customers/{customer}/credit-balances")
    return sum(int(row["balance"]["available"]) for row in balances)


def test_an_upgrade_charges_the_difference_for_the_rest_of_the_period(shop: Shop, running: str) -> None:  # P7
    before = shop.get(f"/subscriptions/{running}")
    mark = shop.mark()
    told = change(shop, running, "pro")
    assert shop.since(mark) == [
        "transaction.created",
        "transaction.billed",
        "subscription.updated",
        "transaction.paid",
        "transaction.completed",
    ]
    assert told["items"][0]["price"]["id"] == shop.price["pro"]
    assert told["current_billing_period"] == before["current_billing_period"]
    paid = shop.last("transaction.completed")["data"]
    added, removed = paid["details"]["line_items"]
    assert (added["quantity"], added["totals"]["subtotal"]) == (1, "1950")
    assert (removed["quantity"], removed["totals"]["subtotal"]) == (-1, "-750")
    assert {item["proration"]["rate"] for item in paid["items"]} == {"0.50000"}
    assert paid["items"][0]["proration"]["billing_period"]["ends_at"] == before["next_billed_at"]
    assert (paid["origin"], paid["details"]["totals"]["grand_total"]) == ("subscription_update", "1440")


def test_a_preview_says_what_the_change_then_does(shop: Shop, running: str) -> None:
    mark, before = shop.mark(), shop.get(f"/subscriptions/{running}")
    shown = preview(shop, running, "pro")
    assert shown["update_summary"] == {
        "credit": {"amount": "900", "currency_code": "USD"},
        "charge": {"amount": "2340", "currency_code": "USD"},
        "result": {"action": "charge", "amount": "1440", "currency_code": "USD"},
    }
    assert shown["immediate_transaction"]["details"]["totals"]["grand_total"] == "1440"
    assert shown["next_transaction"]["details"]["totals"]["grand_total"] == "4680"
    assert shown["next_transaction"]["billing_period"]["starts_at"] == before["next_billed_at"]
    assert shown["recurring_transaction_details"]["totals"]["grand_total"] == "4680"
    assert shown["items"][0]["price"]["id"] == shop.price["pro"]
    assert "id" not in shown
    assert shop.since(mark) == []
    after = shop.get(f"/subscriptions/{running}")
    assert {**after, "management_urls": None} == {**before, "management_urls": None}
    change(shop, running, "pro")
    assert shop.last("transaction.completed")["data"]["details"]["totals"]["grand_total"] == "1440"
    shop.world.move(HALF)
    assert shop.last("transaction.completed")["data"]["details"]["totals"]["grand_total"] == "4680"


def test_a_downgrade_becomes_credit_that_the_next_bill_uses(shop: Shop) -> None:
    subscription = shop.subscribe("pro")
    shop.world.move(HALF)
    shown = preview(shop, subscription, "starter")
    assert shown["update_summary"]["result"] == {"action": "credit", "amount": "1440", "currency_code": "USD"}
    assert shown["next_transaction"]["details"]["totals"]["grand_total"] == "360"
    change(shop, subscription, "starter")
    totals = shop.last("transaction.completed")["data"]["details"]["totals"]
    assert (totals["total"], totals["grand_total"], totals["credit_to_balance"]) == ("-1440", "0", "1440")
    assert owed(shop, subscription) == 1440
    shop.world.move(HALF)
    renewal = shop.last("transaction.completed")["data"]
    assert (renewal["details"]["totals"]["credit"], renewal["details"]["totals"]["grand_total"]) == ("1440", "360")
    assert renewal["payments"][0]["amount"] == "360"
    assert owed(shop, subscription) == 0


def test_full_charges_what_is_added_in_full(shop: Shop, running: str) -> None:
    change(shop, running, "pro", "full_immediately")
    assert shop.last("transaction.completed")["data"]["details"]["totals"]["grand_total"] == "4680"


@pytest.mark.parametrize(("mode", "due"), [("prorated_next_billing_period", 1440), ("full_next_billing_period", 4680)])
def test_the_next_period_modes_bill_with_the_renewal(shop: Shop, running: str, mode: str, due: int) -> None:
    mark = shop.mark()
    told = change(shop, running, "pro", mode)
    assert shop.since(mark) == ["subscription.updated"]
    assert told["items"][0]["price"]["id"] == shop.price["pro"]
    shop.world.move(HALF)
    assert shop.last("transaction.completed")["data"]["details"]["totals"]["grand_total"] == str(4680 + due)


def test_do_not_bill_changes_without_a_transaction(shop: Shop, running: str) -> None:
    shown = preview(shop, running, "pro", "do_not_bill")
    assert (shown["immediate_transaction"], shown["update_summary"]) == (None, None)
    mark = shop.mark()
    change(shop, running, "pro", "do_not_bill")
    assert shop.since(mark) == ["subscription.updated"]


def test_another_interval_starts_a_new_period_now(shop: Shop, running: str) -> None:
    told = change(shop, running, "yearly")
    assert told["billing_cycle"] == {"interval": "year", "frequency": 1}
    assert told["current_billing_period"]["starts_at"][:10] == "2026-04-16"
    assert told["next_billed_at"][:10] == "2027-04-16"
    added, removed = shop.last("transaction.completed")["data"]["details"]["line_items"]
    assert (added["totals"]["subtotal"], removed["totals"]["subtotal"]) == ("39000", "-750")
    shop.world.move(timedelta(days=366))
    assert shop.get(f"/subscriptions/{running}")["next_billed_at"][:10] == "2028-04-16"


def test_another_interval_is_not_billed_later(shop: Shop, running: str) -> None:
    with pytest.raises(ApiError) as refused:
        change(shop, running, "yearly", "prorated_next_billing_period")
    assert refused.value.errors[0]["field"] == "proration_billing_mode"


def test_a_declined_upgrade_changes_nothing(shop: Shop, running: str) -> None:
    shop.world.fail_next_payment(running)
    mark, before = shop.mark(), shop.get(f"/subscriptions/{running}")
    with pytest.raises(ApiError) as refused:
        change(shop, running, "pro")
    assert (refused.value.status, refused.value.code) == (400, "subscription_payment_declined")
    assert shop.since(mark) == []
    assert shop.get(f"/subscriptions/{running}")["items"] == before["items"]
    assert len(shop.world.state.transactions.rows()) == 1


def test_a_declined_upgrade_can_be_applied_anyway(shop: Shop, running: str) -> None:
    shop.world.fail_next_payment(running)
    told = change(shop, running, "pro", on_payment_failure="apply_change")
    assert (told["status"], told["items"][0]["price"]["id"]) == ("past_due", shop.price["pro"])
    assert shop.last("transaction.past_due")["data"]["origin"] == "subscription_update"


def test_a_change_of_a_few_cents_is_refused(shop: Shop) -> None:
    subscription = shop.subscribe()
    shop.world.move(timedelta(days=29, hours=20))
    mark = shop.mark()
    with pytest.raises(ApiError) as refused:
        change(shop, subscription, "pro")
    assert refused.value.code == "subscription_update_transaction_balance_less_than_charge_limit"
    assert shop.since(mark) == []


def test_items_need_a_proration_mode(shop: Shop, running: str) -> None:
    items = [{"price_id": shop.price["pro"], "quantity": 1}]
    for path in (f"/subscriptions/{running}", f"/subscriptions/{running}/preview"):
        with pytest.raises(ApiError) as refused:
            shop.patch(path, items=items)
        assert refused.value.code == "subscription_items_update_missing_proration_billing_mode"


def test_a_past_due_subscription_keeps_its_items(shop: Shop, running: str) -> None:
    shop.world.fail_next_payment(running)
    shop.world.renew(running)
    with pytest.raises(ApiError) as refused:
        change(shop, running, "pro")
    assert refused.value.code == "subscription_update_when_past_due"


def test_a_trial_changes_its_items_without_billing_only(shop: Shop) -> None:
    subscription = shop.subscribe("trial")
    with pytest.raises(ApiError) as refused:
        change(shop, subscription, "pro")
    assert refused.value.code == "subscription_trialing_items_update_invalid_options"
    with pytest.raises(ApiError) as refused:
        shop.patch(f"/subscriptions/{subscription}", custom_data={"a": "b"})
    assert refused.value.code == "subscription_update_when_trialing"
    told = change(shop, subscription, "pro", "do_not_bill")
    assert (told["status"], told["items"][0]["status"]) == ("trialing", "trialing")
    shop.world.move(timedelta(days=14))
    assert shop.last("transaction.completed")["data"]["details"]["totals"]["grand_total"] == "4680"


def test_a_paused_subscription_changes_without_billing_only(shop: Shop, running: str) -> None:
    shop.world.pause(running)
    with pytest.raises(ApiError) as refused:
        change(shop, running, "pro")
    assert refused.value.code == "subscription_incorrect_proration_on_paused_subscription"
    assert change(shop, running, "pro", "do_not_bill")["items"][0]["price"]["id"] == shop.price["pro"]


def test_nothing_changes_within_half_an_hour_of_the_renewal(shop: Shop) -> None:
    subscription = shop.subscribe()
    shop.world.move(timedelta(days=30) - timedelta(minutes=29))
    with pytest.raises(ApiError) as refused:
        change(shop, subscription, "pro")
    assert refused.value.code == "subscription_locked_renewal"


def test_a_pending_refund_locks_the_items(shop: Shop, running: str) -> None:
    paid = shop.last("transaction.completed")["data"]
    refund = shop.world.refund(paid["id"], approve=False)
    with pytest.raises(ApiError) as refused:
        change(shop, running, "pro")
    assert refused.value.code == "subscription_outstanding_pending_refund"
    shop.world.reject(refund["id"])
    assert change(shop, running, "pro")["items"][0]["price"]["id"] == shop.price["pro"]


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ([("pro", 2)], "subscription_quantity_not_valid"),
        ([("pro", 1), ("yearly", 1)], "subscription_new_items_not_valid"),
        ([("credit", 10)], "subscription_new_items_not_valid"),
        ([("pro", 1), ("pro", 1)], "subscription_duplicate_price_ids"),
        ([("pro", None)], "subscription_quantity_missing_for_new_items"),
    ],
)
def test_items_that_do_not_fit_are_refused(
    shop: Shop, running: str, items: list[tuple[str, int | None]], code: str
) -> None:
    wanted = [{"price_id": shop.price[name], "quantity": quantity} for name, quantity in items]
    with pytest.raises(ApiError) as refused:
        shop.patch(f"/subscriptions/{running}", items=wanted, proration_billing_mode="prorated_immediately")
    assert refused.value.code == code


def test_the_next_bill_can_be_moved_without_billing(shop: Shop, running: str) -> None:
    wanted = {"next_billed_at": "2026-06-10T00:00:00Z", "proration_billing_mode": "do_not_bill"}
    told = shop.patch(f"/subscriptions/{running}", **wanted)
    assert told["next_billed_at"] == told["current_billing_period"]["ends_at"] == "2026-06-10T00:00:00.000000Z"
    assert told["items"][0]["next_billed_at"] == told["next_billed_at"]
    shop.world.move_to_renewal(running)
    assert shop.get(f"/subscriptions/{running}")["next_billed_at"][:10] == "2026-07-10"
    with pytest.raises(ApiError) as refused:
        shop.patch(f"/subscriptions/{running}", **wanted)
    assert refused.value.code == "subscription_next_billed_at_too_soon"


def test_custom_data_can_be_replaced(shop: Shop, running: str) -> None:
    assert shop.patch(f"/subscriptions/{running}", custom_data={"plan": "x"})["custom_data"] == {"plan": "x"}
