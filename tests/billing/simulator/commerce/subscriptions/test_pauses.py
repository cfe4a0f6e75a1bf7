"""Pausing and resuming."""

from __future__ import annotations

import pytest

from tests.billing.simulator.shop import DAY, ApiError, Shop, day, state_of


def test_a_pause_with_a_date_resumes_by_itself_with_a_charge(shop: Shop, running: str) -> None:
    told = shop.post(f"/subscriptions/{running}/pause", resume_at="2026-04-10T00:00:00Z")
    assert told["status"] == "active"
    assert told["scheduled_change"]["action"] == "pause"
    assert day(told["next_billed_at"]) == "2026-04-10"
    shop.world.move(30 * DAY)
    paused = state_of(shop, running)
    assert (paused["status"], paused["current_billing_period"]) == ("paused", None)
    assert paused["scheduled_change"] == {
        "action": "resume",
        "effective_at": "2026-04-10T00:00:00.000000Z",
        "resume_at": None,
    }
    mark = shop.mark()
    shop.world.move(45 * DAY)
    assert shop.since(mark)[0] == "subscription.resumed"
    assert shop.since(mark)[-1] == "transaction.completed"
    back = state_of(shop, running)
    assert (back["status"], back["paused_at"]) == ("active", None)
    assert day(back["current_billing_period"]["ends_at"]) == "2026-05-10"


def test_a_pause_without_a_date_waits(shop: Shop, running: str) -> None:
    shop.world.pause(running)
    paused = state_of(shop, running)
    assert (paused["status"], paused["next_billed_at"], paused["scheduled_change"]) == ("paused", None, None)
    mark = shop.mark()
    shop.world.move(200 * DAY)
    assert shop.since(mark) == []
    shop.world.resume(running)
    assert state_of(shop, running)["status"] == "active"
    assert shop.last("transaction.completed")["data"]["details"]["totals"]["grand_total"] == "1800"


def test_resuming_may_continue_the_old_period_for_nothing(shop: Shop, running: str) -> None:
    period = state_of(shop, running)["current_billing_period"]
    shop.world.pause(running)
    shop.world.move(5 * DAY)
    body = {"effective_from": "immediately", "on_resume": "continue_existing_billing_period"}
    mark = shop.mark()
    assert shop.post(f"/subscriptions/{running}/resume", **body)["current_billing_period"] == period
    assert shop.since(mark) == ["subscription.resumed"]


def test_resuming_can_be_scheduled(shop: Shop, running: str) -> None:
    shop.world.pause(running)
    told = shop.post(f"/subscriptions/{running}/resume", effective_from="2026-03-05T00:00:00Z")
    assert (told["status"], told["scheduled_change"]["action"]) == ("paused", "resume")
    shop.world.move(60 * DAY)
    assert state_of(shop, running)["status"] == "active"


def test_a_failed_charge_on_resuming_is_past_due(shop: Shop, running: str) -> None:
    shop.world.pause(running)
    shop.world.fail_next_payment(running)
    shop.world.resume(running)
    assert state_of(shop, running)["status"] == "past_due"


def test_pausing_and_resuming_need_their_states(shop: Shop, running: str) -> None:
    with pytest.raises(ApiError) as refused:
        shop.post(f"/subscriptions/{running}/resume", effective_from="immediately")
    assert refused.value.code == "subscription_must_be_paused"
    with pytest.raises(ApiError) as refused:
        shop.post(f"/subscriptions/{running}/pause", resume_at="2026-02-01T00:00:00Z")
    assert refused.value.errors[0]["field"] == "resume_at"
    assert state_of(shop, running)["scheduled_change"] is None
    shop.world.pause(running)
    with pytest.raises(ApiError) as refused:
        shop.post(f"/subscriptions/{running}/pause")
    assert refused.value.code == "subscription_cannot_be_paused"


def test_a_paused_subscription_is_canceled_at_once(shop: Shop, running: str) -> None:
    shop.world.pause(running)
    assert shop.post(f"/subscriptions/{running}/cancel")["status"] == "canceled"
