"""Emails about a plan: each once for what really happened, and none for what is long ago."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
import time_machine
from django.db import transaction as database
from pytest_django import DjangoAssertNumQueries

from billing import emails, fulfilment, schedule
from billing.models import Subscription
from billing.paddle import inbox, snapshots
from credits.models import CreditPeriod
from sidekick.accounts.models import Letter, User
from tests.billing.bodies import (
    APRIL,
    MARCH,
    MAY,
    PRO,
    STARTER,
    SUBSCRIPTION,
    Body,
    buys,
    event,
    hear,
    moment,
    name,
    receive,
    renewal,
    subscription,
)
from tests.post import delivered

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sold")]
SPAN: Body = {"current_billing_period": {"starts_at": APRIL, "ends_at": MAY}}
CANCEL: Body = {"scheduled_change": {"action": "cancel", "effective_at": APRIL, "resume_at": None}}


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """The day after Pro was paid for."""
    with time_machine.travel(moment(MARCH, days=1), tick=False) as clock:
        yield clock


@pytest.fixture
def subscriber(alice: User, clock: time_machine.Traveller) -> User:
    """She has paid for Pro from the middle of March on."""
    buys(alice, transaction_id=name("txn", 1), price=PRO, quantity=1)
    hear("subscription.created", subscription(PRO, transaction_id=name("txn", 1)), "2026-03-01T00:00:00Z")
    Subscription.objects.update(account=alice)
    hear("transaction.completed", renewal(1, PRO, MARCH, APRIL), MARCH)
    assert CreditPeriod.objects.get(closed_at=None).plan_id == "pro"
    return alice


_numbers = count(5000)


def tells(at: datetime, **changes: Any) -> None:
    """Paddle tells of the subscription as it is from this moment on."""
    body = event(next(_numbers), "subscription.updated", subscription(PRO, **changes), at.isoformat())
    assert receive(body, at + timedelta(seconds=2)).state in {"applied", "stale"}


def told() -> list[str]:
    return [str(message.subject) for message in delivered()]


# A payment fails


def test_a_payment_that_failed_is_told_with_what_stays_until_when(
    subscriber: User, clock: time_machine.Traveller
) -> None:  # B7
    clock.move_to(moment(APRIL, hours=1))
    tells(moment(APRIL), status="past_due", **SPAN)
    (message,) = delivered()
    assert (message.subject, message.to) == ("Your payment for Pro didn’t go through", [subscriber.email])
    assert "Pro stays until 23 Apr 2026" in str(message.body)
    assert "/dashboard/billing" in str(message.body)


def test_however_often_its_payment_is_tried_it_is_told_once_a_period(
    subscriber: User, clock: time_machine.Traveller
) -> None:  # B7 P2
    clock.move_to(moment(APRIL, hours=30))
    for hours in range(0, 30, 5):
        tells(moment(APRIL, hours=hours), status="past_due", **SPAN)
    assert len(told()) == 1
    clock.move_to(moment(MAY, hours=1))
    tells(moment(MAY, hours=-1), status="active", **SPAN)
    tells(moment(MAY), status="past_due", current_billing_period={"starts_at": MAY, "ends_at": "2026-06-16T00:00:00Z"})
    assert len(told()) == 2


def test_a_failure_that_is_over_before_it_is_heard_of_is_not_told(
    subscriber: User, clock: time_machine.Traveller
) -> None:  # P2
    clock.move_to(moment(APRIL, hours=3))
    tells(moment(APRIL, hours=2), status="active", **SPAN)
    tells(moment(APRIL), status="past_due", **SPAN)
    assert told() == []


# The end is scheduled


def test_a_scheduled_end_is_told_with_its_date_and_how_to_undo_it(subscriber: User) -> None:  # B2 B3
    tells(moment(MARCH, hours=20), **CANCEL)
    (message,) = delivered()
    assert message.subject == "Pro ends on 16 Apr 2026"
    for words in ("Keep Pro with one click", "/dashboard/billing", "Credits you bought stay yours"):
        assert words in str(message.body)


def test_an_end_that_was_undone_and_scheduled_again_is_told_again(subscriber: User) -> None:  # B3
    for hour, changes in enumerate([CANCEL, {}, CANCEL, CANCEL]):
        tells(moment(MARCH, hours=hour + 1), **changes)
    assert told() == ["Pro ends on 16 Apr 2026"] * 2


def test_what_else_becomes_of_a_plan_whose_end_is_scheduled_is_no_news(subscriber: User) -> None:  # P2
    for hour in range(1, 6):
        tells(moment(MARCH, hours=hour), **CANCEL, next_billed_at=None, discount={"id": f"dsc_{hour}"})
    assert len(told()) == 1


def test_paddles_answer_and_its_event_are_one_cancellation(subscriber: User) -> None:  # B2
    """Our own cancelling takes in what Paddle answers; the webhook comes after it."""
    at = moment(MARCH, hours=5)
    entity = subscription(PRO, **CANCEL) | {"updated_at": at.isoformat()}
    assert snapshots.upsert_from_api(entity)
    tells(at + timedelta(seconds=1), **CANCEL)
    assert len(told()) == 1


def test_an_unpaid_plan_that_is_canceled_is_told_of_both(subscriber: User, clock: time_machine.Traveller) -> None:  # B7
    clock.move_to(moment(APRIL, hours=3))
    tells(moment(APRIL), status="past_due", **SPAN)
    tells(moment(APRIL, hours=1), status="past_due", **SPAN, scheduled_change=CANCEL["scheduled_change"])
    assert len(told()) == 2


# The plan is over


def end(at: datetime) -> None:
    schedule.end_plans(at)


@pytest.mark.parametrize("at_once", [False, True])
def test_a_plan_that_has_ended_is_told_with_what_the_account_is_now(
    subscriber: User, clock: time_machine.Traveller, at_once: bool
) -> None:  # B2 M9
    over = moment(MARCH, hours=12) if at_once else moment(APRIL)
    clock.move_to(over + timedelta(minutes=1))
    tells(over, status="canceled", canceled_at=over.isoformat())
    assert told() == []
    end(over + timedelta(minutes=1))
    (message,) = delivered()
    assert message.subject == "Pro has ended"
    assert "Your account is now Free, with 50 credits a month. Credits you bought stay yours" in str(message.body)
    end(over + timedelta(minutes=2))
    assert len(told()) == 1


def test_a_plan_that_stayed_unpaid_is_told_once_though_it_is_canceled_later(
    subscriber: User, clock: time_machine.Traveller
) -> None:  # B7
    tells(moment(APRIL), status="past_due", **SPAN)
    delivered().clear()
    grace_over = moment(APRIL, days=7, minutes=1)
    clock.move_to(grace_over)
    end(grace_over)
    (message,) = delivered()
    assert "because its last payment didn’t go through" in str(message.body)
    tells(grace_over, status="canceled", canceled_at=grace_over.isoformat())
    end(grace_over + timedelta(minutes=1))
    assert len(told()) == 1


def test_a_pause_is_told_as_a_pause(subscriber: User, clock: time_machine.Traveller) -> None:
    clock.move_to(moment(APRIL, minutes=5))
    tells(moment(APRIL), status="paused", paused_at=APRIL)
    end(moment(APRIL, minutes=5))
    assert told() == ["Pro is paused"]


# Any order, any number of times


@pytest.mark.parametrize("seed", range(6))
def test_in_any_order_and_however_often_nobody_is_told_twice(subscriber: User, seed: int) -> None:  # P2
    dice = random.Random(seed)
    start = moment(MARCH, hours=1)
    states: list[Body] = [CANCEL, {}, {"status": "past_due"}, CANCEL | {"status": "past_due"}]
    told_of = [
        event(9000 + n, "subscription.updated", subscription(PRO, **state), (start + timedelta(hours=n)).isoformat())
        for n, state in enumerate(states)
    ]
    shuffled = told_of * 3
    dice.shuffle(shuffled)
    for body in shuffled:
        receive(body, moment(MARCH, hours=10))
    for body in told_of:
        inbox.apply_again(body["event_id"])
    keys = list(Letter.objects.values_list("key", flat=True))
    assert len(keys) == len(set(keys)) == len(told())
    kinds = [str(key).split(":")[0] for key in keys]
    # News that a newer snapshot had overtaken is not told; the final state is.
    assert kinds.count("payment_failed") == 1
    assert 1 <= kinds.count("end_scheduled") <= 2


def test_what_is_rolled_back_tells_nobody(subscriber: User) -> None:
    with database.atomic():
        tells(moment(MARCH, hours=5), **CANCEL)
        assert Letter.objects.exists()
        database.set_rollback(True)
    assert told() == []


def test_an_event_that_fails_tells_nobody_until_it_is_applied(
    subscriber: User, monkeypatch: pytest.MonkeyPatch
) -> None:  # P3
    def refuse(*args: object, **kwargs: object) -> None:
        raise ValueError

    with monkeypatch.context() as broken:
        broken.setattr(fulfilment, "fulfil", refuse)
        Subscription.objects.update(account=None)
        body = event(77, "subscription.updated", subscription(PRO, transaction_id=name("txn", 1), **CANCEL), MARCH)
        assert receive(body, moment(MARCH, minutes=1)).state == "failed"
    assert told() == []
    inbox.apply_again(body["event_id"])
    assert len(told()) == 1


@pytest.mark.parametrize("days", [4, 200])
def test_old_history_tells_nobody(subscriber: User, clock: time_machine.Traveller, days: int) -> None:  # P5
    """A sync, or the demo, hears of it at the time it happened, says its `now`; the real clock knows better."""
    clock.move_to(moment(APRIL, days=days))
    tells(moment(MARCH, hours=5), **CANCEL)
    tells(moment(APRIL), status="past_due", **SPAN)
    tells(moment(APRIL, hours=1), status="canceled", canceled_at=moment(APRIL, hours=1).isoformat())
    end(moment(APRIL, hours=2))
    assert CreditPeriod.objects.get(closed_at=None).plan_id == "free"
    assert not Letter.objects.exists()


def test_what_is_nothing_to_write_about_costs_nothing(
    subscriber: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    known = Subscription.objects.get(id=SUBSCRIPTION)
    with django_assert_num_queries(0):
        emails.subscription_changed(known, was_ending=False)


def test_a_stranger_is_told_nothing_of_it(subscriber: User, charlie: User) -> None:  # B10
    tells(moment(MARCH, hours=5), **CANCEL)
    assert {message.to[0] for message in delivered()} == {subscriber.email}
    assert json.dumps(charlie.email) not in json.dumps(list(Letter.objects.values_list("to", flat=True)))


def test_starter_is_called_starter(alice: User, clock: time_machine.Traveller) -> None:  # B2
    buys(alice, transaction_id=name("txn", 1), price=STARTER, quantity=1)
    hear("subscription.created", subscription(STARTER, transaction_id=name("txn", 1)), "2026-03-01T00:00:00Z")
    Subscription.objects.update(account=alice)
    hear("subscription.updated", subscription(STARTER, **CANCEL), MARCH)
    assert told() == ["Starter ends on 16 Apr 2026"]
