"""Renewals whose card fails, and how they are paid after all."""

from __future__ import annotations

import pytest

from billing.simulator.errors import RequestError
from tests.billing.simulator.shop import DAY, Shop, day, state_of


def test_a_failed_renewal_is_past_due_with_the_new_period(shop: Shop, running: str) -> None:
    shop.world.fail_next_payment(running)
    mark = shop.mark()
    shop.world.move(29 * DAY)
    assert shop.since(mark) == [
        "subscription.updated",
        "transaction.created",
        "transaction.billed",
        "transaction.payment_failed",
        "transaction.past_due",
        "subscription.past_due",
    ]
    assert shop.last("transaction.payment_failed")["data"]["status"] == "billed"
    overdue = shop.last("transaction.past_due")["data"]
    assert (overdue["status"], overdue["payments"][0]["error_code"]) == ("past_due", "expired_card")
    told = shop.last("subscription.past_due")["data"]
    assert told["current_billing_period"] == overdue["billing_period"]
    assert day(told["next_billed_at"]) == "2026-03-31"


def test_paying_what_is_overdue_recovers_the_subscription(shop: Shop, running: str) -> None:
    shop.world.fail_next_payment(running)
    shop.world.move(29 * DAY)
    mark = shop.mark()
    shop.world.pay_overdue(running)
    assert shop.since(mark)[:3] == ["transaction.paid", "transaction.completed", "subscription.activated"]
    assert state_of(shop, running)["status"] == "active"
    shop.world.move(40 * DAY)
    assert state_of(shop, running)["status"] == "active"
    with pytest.raises(RequestError):
        shop.world.pay_overdue(running)


def test_a_card_that_is_good_again_renews(shop: Shop, running: str) -> None:
    shop.world.fail_next_payment(running)
    shop.world.card_good_again(running)
    shop.world.move(29 * DAY)
    assert state_of(shop, running)["status"] == "active"


def test_paddle_gives_up_after_thirty_days(shop: Shop, running: str) -> None:
    shop.world.fail_next_payment(running)
    shop.world.move(29 * DAY)
    shop.world.move(28 * DAY)
    assert state_of(shop, running)["status"] == "past_due"
    shop.world.move(2 * DAY)
    assert state_of(shop, running)["status"] == "canceled"
    assert shop.last("transaction.canceled")["data"]["subscription_id"] == running
