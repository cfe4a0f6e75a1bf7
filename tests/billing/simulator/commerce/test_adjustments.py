"""Refunds and chargebacks: their review, their limits, and what is left of the transaction."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from billing.simulator.errors import RequestError
from tests.billing.simulator.shop import ApiError, Shop


@pytest.fixture
def paid(shop: Shop) -> dict[str, Any]:
    """137 credits for $16.44."""
    return shop.buy("credit", 137, customer_id=shop.customer())


def line(transaction: dict[str, Any], number: int = 0) -> str:
    return str(transaction["details"]["line_items"][number]["id"])


def left(shop: Shop, transaction: dict[str, Any]) -> tuple[str, str]:
    totals = shop.get(f"/transactions/{transaction['id']}")["details"]["adjusted_totals"]
    return totals["total"], totals["grand_total"]


def refund(shop: Shop, transaction: dict[str, Any], amount: str | None = None) -> Any:
    wanted: dict[str, Any] = {"type": "full"}
    if amount:
        wanted = {"type": "partial", "items": [{"item_id": line(transaction), "type": "partial", "amount": amount}]}
    return shop.post("/adjustments", action="refund", transaction_id=transaction["id"], reason="asked", **wanted)


def test_a_refund_waits_for_approval(shop: Shop, paid: dict[str, Any]) -> None:  # P7
    mark = shop.mark()
    made = refund(shop, paid, "400")
    assert (made["status"], made["type"], made["items"][0]["type"]) == ("pending_approval", "partial", "partial")
    assert left(shop, paid) == ("1644", "1644")
    shop.world.approve(made["id"])
    assert shop.since(mark) == ["adjustment.created", "adjustment.updated", "transaction.updated"]
    assert shop.get(f"/adjustments/{made['id']}")["status"] == "approved"
    assert left(shop, paid) == ("1244", "1244")
    assert shop.get(f"/transactions/{paid['id']}")["status"] == "completed"


def test_a_rejected_refund_takes_nothing_and_frees_the_amount(shop: Shop, paid: dict[str, Any]) -> None:
    made = refund(shop, paid)
    shop.world.reject(made["id"])
    assert shop.last("adjustment.updated")["data"]["status"] == "rejected"
    assert left(shop, paid) == ("1644", "1644")
    assert refund(shop, paid)["status"] == "pending_approval"


def test_a_full_refund_takes_everything_with_its_tax(shop: Shop, paid: dict[str, Any]) -> None:
    made = refund(shop, paid)
    assert made["type"] == "full"
    assert made["items"] == [
        {
            "id": made["items"][0]["id"],
            "item_id": line(paid),
            "type": "full",
            "amount": "1644",
            "proration": None,
            "totals": {"subtotal": "1370", "tax": "274", "total": "1644"},
        }
    ]
    shop.world.approve(made["id"])
    assert left(shop, paid) == ("0", "0")


def test_one_refund_is_pending_at_a_time(shop: Shop, paid: dict[str, Any]) -> None:
    refund(shop, paid, "100")
    with pytest.raises(ApiError) as refused:
        refund(shop, paid, "100")
    assert refused.value.code == "adjustment_pending_refund_request"


def test_more_than_what_is_left_is_refused(shop: Shop, paid: dict[str, Any]) -> None:
    shop.world.refund(paid["id"], {line(paid): 1000})
    with pytest.raises(ApiError) as refused:
        refund(shop, paid, "645")
    assert refused.value.code == "adjustment_amount_above_remaining_allowed"
    shop.world.refund(paid["id"], {line(paid): 644})
    with pytest.raises(ApiError) as refused:
        refund(shop, paid)
    assert refused.value.code == "adjustment_transaction_item_has_already_been_fully_adjusted"
    assert left(shop, paid) == ("0", "0")


def test_a_prorated_upgrade_gives_back_no_more_than_it_cost(shop: Shop) -> None:
    subscription = shop.subscribe()
    shop.world.move(timedelta(days=10))
    items = [{"price_id": shop.price["pro"], "quantity": 1}]
    shop.patch(f"/subscriptions/{subscription}", items=items, proration_billing_mode="prorated_immediately")
    upgrade = shop.last("transaction.completed")["data"]
    cost = upgrade["details"]["totals"]["grand_total"]
    first = upgrade["details"]["line_items"][0]["totals"]["total"]
    assert int(first) > int(cost)
    with pytest.raises(ApiError) as refused:
        refund(shop, upgrade, first)
    assert refused.value.code == "adjustment_total_amount_above_remaining_allowed"
    assert shop.world.refund(upgrade["id"])["totals"]["total"] == cost
    assert left(shop, upgrade) == ("0", "0")


def test_refunds_that_make_no_sense_are_refused(shop: Shop, paid: dict[str, Any]) -> None:
    other = shop.buy("credit", 10, customer_id=paid["customer_id"])
    with pytest.raises(ApiError) as refused:
        refund(shop, paid | {"details": other["details"]}, "10")
    assert refused.value.code == "adjustment_transaction_item_invalid"
    with pytest.raises(ApiError) as refused:
        refund(shop, paid, "0")
    assert refused.value.code == "adjustment_amount_cannot_be_zero"
    with pytest.raises(ApiError) as refused:
        refund(shop, shop.order("credit", 10))
    assert refused.value.code == "adjustment_transaction_invalid_status_for_refund"
    with pytest.raises(ApiError) as refused:
        shop.post("/adjustments", action="refund", transaction_id=paid["id"], reason="x")
    assert refused.value.errors[0]["field"] == "items"
    with pytest.raises(ApiError) as refused:
        shop.post("/adjustments", action="credit", transaction_id=paid["id"], reason="x", type="full")
    assert refused.value.code == "adjustment_transaction_invalid_status_for_credit"
    assert shop.world.state.adjustments.rows() == []


def test_refunds_can_be_approved_at_once(shop: Shop, paid: dict[str, Any]) -> None:
    shop.world.switch("approve_at_once", True)
    refund(shop, paid)
    assert shop.events()[-3:] == ["adjustment.created", "adjustment.updated", "transaction.updated"]


@pytest.mark.parametrize("warning", [True, False])
def test_a_chargeback_takes_what_is_left_and_its_reversal_gives_it_back(
    shop: Shop, paid: dict[str, Any], warning: bool
) -> None:
    action = "chargeback_warning" if warning else "chargeback"
    shop.world.refund(paid["id"], {line(paid): 644})
    mark = shop.mark()
    made = shop.world.charge_back(paid["id"], warning=warning)
    assert (made["action"], made["status"], made["totals"]["total"]) == (action, "approved", "1000")
    assert left(shop, paid) == ("0", "0")
    back = shop.world.reverse(made["id"])
    assert (back["action"], back["totals"]["total"]) == (f"{action}_reverse", "1000")
    assert left(shop, paid) == ("1000", "1000")
    assert shop.get(f"/adjustments/{made['id']}")["status"] == "reversed"
    assert shop.since(mark) == ["adjustment.created", "transaction.updated"] * 2
    with pytest.raises(RequestError):
        shop.world.reverse(made["id"])


def test_a_chargeback_of_nothing_is_refused(shop: Shop, paid: dict[str, Any]) -> None:
    shop.world.refund(paid["id"])
    with pytest.raises(RequestError):
        shop.world.charge_back(paid["id"])


def test_a_refund_is_reviewed_once_and_is_not_reversed(shop: Shop, paid: dict[str, Any]) -> None:
    made = shop.world.refund(paid["id"])
    for verb in (shop.world.approve, shop.world.reject, shop.world.reverse):
        with pytest.raises(RequestError):
            verb(made["id"])


def test_a_refund_leaves_the_subscription_alone(shop: Shop) -> None:
    subscription = shop.subscribe()
    transaction = shop.get(f"/transactions?subscription_id={subscription}")[0]
    made = shop.world.refund(transaction["id"])
    assert made["subscription_id"] == subscription
    assert shop.get(f"/subscriptions/{subscription}")["status"] == "active"


def test_adjustments_are_listed_by_transaction_and_status(shop: Shop, paid: dict[str, Any]) -> None:
    other = shop.buy("credit", 10, customer_id=paid["customer_id"])
    pending = refund(shop, paid)["id"]
    shop.world.refund(other["id"])
    assert [row["id"] for row in shop.get(f"/adjustments?transaction_id={paid['id']}")] == [pending]
    assert [row["id"] for row in shop.get("/adjustments?status=pending_approval")] == [pending]
