"""A subscription's life: renewals, trials, cancellations, and the clock that brings them."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from tests.billing.simulator.shop import DAY, STARTED, ApiError, Shop, day, state_of


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
