"""A subscription's life: renewals, failures, pauses, ends, and the clock that brings them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from billing.simulator.errors import RequestError
from tests.billing.simulator.shop import ApiError, Shop

STARTED = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def day(text: str | None) -> str:
    return (text or "never")[:10]


@pytest.fixture
def january() -> Any:
    with time_machine.travel(STARTED, tick=False):
        yield


@pytest.fixture
def running(shop: Shop, january: None) -> str:
    return shop.subscribe()


def state_of(shop: Shop, subscription: str) -> dict[str, Any]:
    found: dict[str, Any] = shop.get(f"/subscriptions/{subscription}")
    return found


def test_periods_keep_the_day_they_began_on(shop: Shop, running: str) -> None:
    ends = []
    for _ in range(4):
        shop.world.move_to_renewal(running)
        ends.append(day(state_of(shop, running)["current_billing_period"]["ends_at"]))
    assert ends == ["2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30"]


def test_a_renewal_shows_the_new_period_before_it_is_paid(shop: Shop, running: str) -> None:  # P7
    mark = shop.mark()
    shop.world.move(29 * DAY)
    assert shop.since(mark) == [
        "subscription.updated",
        "transaction.created",
        "transaction.billed",
        "transaction.paid",
        "transaction.completed",
    ]
    updated, billed = shop.last("subscription.updated"), shop.last("transaction.billed")
    assert day(updated["data"]["current_billing_period"]["starts_at"]) == "2026-02-28"
    assert updated["data"]["current_billing_period"] == billed["data"]["billing_period"]
    assert (billed["data"]["status"], billed["data"]["origin"]) == ("billed", "subscription_recurring")
    assert shop.last("transaction.completed")["data"]["details"]["totals"]["grand_total"] == "1800"


def test_the_clock_does_what_falls_due_in_order_and_at_its_time(shop: Shop, running: str) -> None:
    other = shop.subscribe("trial", customer_id=shop.customer("charlie@example.com"))
    mark = shop.mark()
    shop.world.move(60 * DAY)
    told = [(row["occurred_at"], row["data"]["id"]) for row in shop.world.state.events()[mark:]]
    assert told == sorted(told, key=lambda one: one[0])
    renewals = [(day(at), who) for at, who in told if who in {running, other}]
    assert renewals == [
        ("2026-02-14", other),  # the trial ends
        ("2026-02-14", other),  # and is active
        ("2026-02-28", running),
        ("2026-03-14", other),
        ("2026-03-31", running),
    ]
    assert shop.world.now() == STARTED + 60 * DAY


def test_the_clock_moves_with_the_machines_and_forward_only(shop: Shop) -> None:
    with time_machine.travel(STARTED, tick=False) as traveller:
        shop.world.move(DAY)
        assert shop.world.now() == STARTED + DAY
        traveller.shift(DAY)
        assert shop.world.now() == STARTED + 2 * DAY
        with pytest.raises(ValueError, match="forward"):
            shop.world.move(-DAY)


def test_what_falls_due_while_nobody_looks_is_caught_up_with(shop: Shop) -> None:
    with time_machine.travel(STARTED, tick=False) as traveller:
        subscription = shop.subscribe()
        traveller.shift(65 * DAY)
        shop.world.catch_up()
        assert day(state_of(shop, subscription)["current_billing_period"]["starts_at"]) == "2026-03-31"
        mark = shop.mark()
        shop.world.catch_up()
        assert shop.since(mark) == []


def test_what_is_caught_up_with_late_is_still_told_after_what_came_before(shop: Shop) -> None:
    with time_machine.travel(STARTED, tick=False) as traveller:
        subscription = shop.subscribe()
        traveller.shift(65 * DAY)
        shop.patch(f"/subscriptions/{subscription}", custom_data={"note": "before the renewals were done"})
        shop.world.catch_up()
        told = [row for row in shop.world.state.events() if row["data"]["id"] == subscription]
        moments = [row["occurred_at"] for row in told]
        assert moments == sorted(set(moments))
        assert told[-1]["data"]["next_billed_at"] == state_of(shop, subscription)["next_billed_at"]


def test_renewing_now_ends_the_period_and_leaves_the_clock(shop: Shop, running: str) -> None:
    shop.world.move(10 * DAY)
    before = shop.world.now()
    shop.world.renew(running)
    assert shop.world.now() == before
    subscription = state_of(shop, running)
    assert day(subscription["current_billing_period"]["starts_at"]) == "2026-02-10"
    assert day(subscription["next_billed_at"]) == "2026-03-10"
    assert shop.last("transaction.completed")["data"]["origin"] == "subscription_recurring"


def test_a_trial_becomes_active_when_it_is_paid(shop: Shop, january: None) -> None:
    subscription = shop.subscribe("trial")
    mark = shop.mark()
    shop.world.move(14 * DAY)
    assert shop.since(mark)[0] == "subscription.updated"
    assert shop.since(mark)[-2:] == ["transaction.completed", "subscription.activated"]
    rolled = shop.last("subscription.updated")["data"]
    assert (rolled["status"], day(rolled["current_billing_period"]["starts_at"])) == ("trialing", "2026-02-14")
    assert state_of(shop, subscription)["status"] == "active"
    assert day(state_of(shop, subscription)["first_billed_at"]) == "2026-02-14"


def test_a_trial_can_be_ended_early_with_a_charge(shop: Shop, january: None) -> None:
    subscription = shop.subscribe("trial")
    shop.world.move(3 * DAY)
    activated = shop.post(f"/subscriptions/{subscription}/activate")
    assert activated["status"] == "active"
    assert day(activated["next_billed_at"]) == "2026-03-03"
    with pytest.raises(ApiError) as refused:
        shop.post(f"/subscriptions/{subscription}/activate")
    assert refused.value.code == "subscription_cannot_activate"


# A card that fails


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


# Cancel and undo


def test_a_cancellation_waits_for_the_end_of_the_period(shop: Shop, running: str) -> None:
    told = shop.post(f"/subscriptions/{running}/cancel", effective_from="next_billing_period")
    assert (told["status"], told["next_billed_at"]) == ("active", None)
    assert told["scheduled_change"] == {
        "action": "cancel",
        "effective_at": told["current_billing_period"]["ends_at"],
        "resume_at": None,
    }
    assert told["items"][0]["next_billed_at"] is None
    mark = shop.mark()
    shop.world.move(29 * DAY)
    assert shop.since(mark) == ["subscription.canceled"]
    ended = state_of(shop, running)
    assert (ended["status"], ended["scheduled_change"], ended["current_billing_period"]) == ("canceled", None, None)
    assert day(ended["canceled_at"]) == "2026-02-28"


def test_a_cancellation_is_undone_with_null_only(shop: Shop, running: str) -> None:
    before = state_of(shop, running)["next_billed_at"]
    shop.post(f"/subscriptions/{running}/cancel")
    with pytest.raises(ApiError) as refused:
        shop.patch(f"/subscriptions/{running}", scheduled_change={"action": "pause"})
    assert refused.value.code == "subscription_scheduled_change_invalid_update"
    told = shop.patch(f"/subscriptions/{running}", scheduled_change=None)
    assert (told["scheduled_change"], told["next_billed_at"]) == (None, before)
    assert told["items"][0]["next_billed_at"] == before


def test_a_second_cancellation_is_refused(shop: Shop, running: str) -> None:
    shop.post(f"/subscriptions/{running}/cancel")
    with pytest.raises(ApiError) as refused:
        shop.post(f"/subscriptions/{running}/cancel")
    assert refused.value.code == "subscription_locked_pending_changes"


def test_what_is_canceled_stays_so(shop: Shop, running: str) -> None:
    shop.world.cancel_now(running)
    for verb in ("cancel", "pause", "resume"):
        with pytest.raises(ApiError) as refused:
            shop.post(f"/subscriptions/{running}/{verb}")
        assert refused.value.code == "subscription_is_canceled_action_invalid"
    with pytest.raises(ApiError) as refused:
        shop.patch(f"/subscriptions/{running}", custom_data={})
    assert refused.value.code == "subscription_update_when_canceled"
    mark = shop.mark()
    shop.world.move(400 * DAY)
    assert shop.since(mark) == []


def test_past_due_can_be_canceled(shop: Shop, running: str) -> None:
    shop.world.fail_next_payment(running)
    shop.world.renew(running)
    told = shop.post(f"/subscriptions/{running}/cancel", effective_from="immediately")
    assert told["status"] == "canceled"


@pytest.mark.parametrize("verb", ["cancel", "pause"])
def test_nothing_changes_within_half_an_hour_of_the_renewal(shop: Shop, running: str, verb: str) -> None:
    shop.world.move(28 * DAY - timedelta(minutes=29))
    with pytest.raises(ApiError) as refused:
        shop.post(f"/subscriptions/{running}/{verb}", effective_from="next_billing_period")
    assert refused.value.code == "subscription_locked_renewal"


# Pause and resume


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


# One-time charges


def test_a_charge_to_the_card_on_file_is_paid_at_once(shop: Shop, running: str) -> None:
    items = [{"price_id": shop.price["credit"], "quantity": 100}]
    shown = shop.post(f"/subscriptions/{running}/charge/preview", effective_from="immediately", items=items)
    assert shown["immediate_transaction"]["details"]["totals"]["grand_total"] == "1200"
    told = shop.post(f"/subscriptions/{running}/charge", effective_from="immediately", items=items)
    assert told["id"] == running
    paid = shop.last("transaction.completed")["data"]
    assert (paid["origin"], paid["details"]["totals"]["grand_total"]) == ("subscription_charge", "1200")


def test_a_charge_for_the_next_period_comes_with_it(shop: Shop, running: str) -> None:
    items = [{"price_id": shop.price["credit"], "quantity": 100}]
    shop.post(f"/subscriptions/{running}/charge", effective_from="next_billing_period", items=items)
    coming = shop.get(f"/subscriptions/{running}?include=next_transaction")["next_transaction"]
    assert coming["details"]["totals"]["grand_total"] == "3000"
    shop.world.renew(running)
    assert shop.last("transaction.completed")["data"]["details"]["totals"]["grand_total"] == "3000"
    shop.world.renew(running)
    assert shop.last("transaction.completed")["data"]["details"]["totals"]["grand_total"] == "1800"


def test_a_declined_or_tiny_charge_changes_nothing(shop: Shop, running: str) -> None:
    path = f"/subscriptions/{running}/charge"
    mark = shop.mark()
    with pytest.raises(ApiError) as refused:
        shop.post(path, effective_from="immediately", items=[{"price_id": shop.price["credit"], "quantity": 5}])
    assert refused.value.code == "subscription_update_transaction_balance_less_than_charge_limit"
    shop.world.fail_next_payment(running)
    with pytest.raises(ApiError) as refused:
        shop.post(path, effective_from="immediately", items=[{"price_id": shop.price["credit"], "quantity": 50}])
    assert refused.value.code == "subscription_payment_declined"
    assert shop.since(mark) == []
    assert state_of(shop, running)["status"] == "active"


def test_subscriptions_are_listed_by_customer_status_and_price(shop: Shop, running: str) -> None:
    other = shop.subscribe("pro", customer_id=shop.customer("charlie@example.com"))
    shop.world.pause(other)
    customer = state_of(shop, running)["customer_id"]
    assert [row["id"] for row in shop.get(f"/subscriptions?customer_id={customer}")] == [running]
    assert [row["id"] for row in shop.get("/subscriptions?status=paused,canceled")] == [other]
    assert [row["id"] for row in shop.get(f"/subscriptions?price_id={shop.price['pro']}")] == [other]
    assert {row["id"] for row in shop.get("/subscriptions")} == {running, other}
    assert set(shop.get("/subscriptions")[0]["management_urls"]) == {"update_payment_method", "cancel"}


def test_an_ended_subscription_has_no_next_transaction(shop: Shop, running: str) -> None:
    shop.post(f"/subscriptions/{running}/cancel")
    path = f"/subscriptions/{running}?include=next_transaction,recurring_transaction_details"
    told = shop.get(path)
    assert told["next_transaction"] is None
    assert told["recurring_transaction_details"]["totals"]["grand_total"] == "1800"
