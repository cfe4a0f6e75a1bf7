"""Payments give periods, growth and additional credits; plans end."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from threading import Event
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError
from django.db import transaction as database
from pytest_django import DjangoAssertNumQueries, Settings

from billing import fulfilment, ownership, refunds, schedule
from billing.models import PaddleEvent, PlanPrice, Subscription, Transaction
from billing.paddle import inbox
from credits.ledger import grants
from credits.models import CreditPeriod, Grant
from sidekick.accounts.models import User
from tests.billing.bodies import (
    APRIL,
    CREDIT,
    JUNE,
    MARCH,
    MAY,
    PRO,
    STARTER,
    SUBSCRIPTION,
    TRANSACTION,
    UPGRADED,
    YEAR_OF_PRO,
    YEAR_OF_STARTER,
    Body,
    adjustment,
    buys,
    event,
    hear,
    line,
    moment,
    name,
    payment,
    receive,
    refund,
    renewal,
    subscription,
    transaction,
    upgrade,
)
from tests.conftest import make_user
from tests.credits.books import assert_books_balance, at_once, debt, left, many_connections, period, remaining, use

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sold")]
UNKNOWN = "pri_01k" + "x" * 23
A_SECOND_LATER = MARCH.replace(":11.", ":12.")


@pytest.fixture
def subscriber(alice: User) -> User:
    """The owner of the subscription, and of all that it pays; nothing is paid yet."""
    buys(alice, transaction_id=name("txn", 1), price=STARTER, quantity=1)
    hear("subscription.created", subscription(transaction_id=name("txn", 1)), "2026-03-01T00:00:00Z")
    Subscription.objects.update(account=alice)
    return alice


def pay(number: int, price: str, start: str, end: str, *, now: datetime | None = None, **changes: object) -> None:
    hear("transaction.completed", renewal(number, price, start, end, **changes), start, now=now)


def paid_periods(account: User) -> list[tuple[str, str, str, Decimal]]:
    found = CreditPeriod.objects.filter(account=account, paid_until__isnull=False).order_by("starts_at")
    return [(p.plan_id, f"{p.starts_at:%m-%d}", f"{p.ends_at:%m-%d}", p.allocation) for p in found]


def held_up(number: int = 1) -> str:
    return Transaction.objects.values_list("held_up", flat=True).get(id=name("txn", number))


# Periods


def test_the_first_payment_opens_its_period(subscriber: User) -> None:  # M7
    pay(1, STARTER, MARCH, APRIL)
    assert paid_periods(subscriber) == [("starter", "03-16", "04-16", 250)]
    opened = period(subscriber)
    assert (opened.starts_at, opened.ends_at, opened.paid_until) == (moment(MARCH), moment(APRIL), moment(APRIL))
    assert Transaction.objects.get().settled_at == moment(MARCH, seconds=2)
    assert_books_balance()


def test_a_trial_is_a_period_of_its_plan(subscriber: User) -> None:  # M7
    hear("transaction.completed", payment(1, line(STARTER, total=0), span=("2026-03-02T09:00:00Z", MARCH)), MARCH)
    assert paid_periods(subscriber) == [("starter", "03-02", "03-16", 250)]
    assert Transaction.objects.get().total == 0


def test_a_renewal_opens_the_next_period_and_what_was_left_rolls_over(subscriber: User) -> None:  # M7 M8
    pay(1, STARTER, MARCH, APRIL)
    use(subscriber, 100, now=moment(MARCH, days=1))
    pay(2, STARTER, APRIL, MAY)
    assert paid_periods(subscriber) == [("starter", "03-16", "04-16", 250), ("starter", "04-16", "05-16", 250)]
    assert left(subscriber) == [("rollover", Decimal(150)), ("allocation", Decimal(250))]
    assert_books_balance()


@pytest.mark.parametrize(
    "status", ["draft", "ready", "billed", "paid", "past_due", "canceled", "", "Completed", "nearly completed"]
)
def test_only_completed_is_money(subscriber: User, status: str) -> None:  # B5 P2
    pay(1, STARTER, MARCH, APRIL, status=status)
    hear("transaction.updated", payment(2, line(CREDIT, 10), subscription_id=SUBSCRIPTION, status=status))
    assert not CreditPeriod.objects.filter(paid_until__isnull=False).exists()
    assert not Grant.objects.filter(kind=Grant.Kind.PURCHASED).exists()
    assert not Transaction.objects.exclude(settled_at=None, held_up="").exists()


def test_a_payment_that_completes_in_the_end_gives_once(subscriber: User) -> None:  # B5 P2
    for status, at in (("ready", MARCH), ("paid", A_SECOND_LATER), ("completed", APRIL), ("completed", MAY)):
        hear("transaction.updated", renewal(1, STARTER, MARCH, APRIL, status=status), at, now=moment(MARCH, hours=1))
    assert paid_periods(subscriber) == [("starter", "03-16", "04-16", 250)]
    assert remaining(subscriber) == 250


def test_what_was_given_stays_when_a_later_snapshot_says_less(subscriber: User) -> None:  # P2
    pay(1, STARTER, MARCH, APRIL)
    hear("transaction.updated", renewal(1, PRO, MARCH, APRIL, status="paid"), APRIL, now=moment(MARCH, days=2))
    hear("transaction.updated", renewal(1, PRO, MARCH, APRIL), MAY, now=moment(MARCH, days=3))
    assert paid_periods(subscriber) == [("starter", "03-16", "04-16", 250)]
    assert_books_balance()


def test_a_year_is_paid_once_and_opens_by_the_month(subscriber: User) -> None:  # M7
    pay(1, YEAR_OF_PRO, MARCH, "2027" + MARCH[4:])
    opened = period(subscriber)
    assert (opened.ends_at, opened.paid_until) == (moment(APRIL), moment("2027" + MARCH[4:]))
    use(subscriber, 1, now=moment(MAY, days=1))
    assert paid_periods(subscriber) == [("pro", "03-16", "04-16", 1000), ("pro", "05-16", "06-16", 1000)]
    assert_books_balance()


def test_the_trial_of_a_year_is_over_with_the_trial(subscriber: User) -> None:  # M7
    hear("transaction.completed", payment(1, line(YEAR_OF_PRO, total=0), span=(MARCH, "2026-03-30T09:00:00Z")), MARCH)
    assert paid_periods(subscriber) == [("pro", "03-16", "03-30", 1000)]
    assert period(subscriber).paid_until == moment("2026-03-30T09:00:00Z")


def test_a_changed_card_is_no_payment(subscriber: User) -> None:
    pay(1, STARTER, MARCH, APRIL)
    before = paid_periods(subscriber), remaining(subscriber)
    pay(2, STARTER, A_SECOND_LATER, A_SECOND_LATER, origin="subscription_payment_method_change")
    # Even one that names a whole period, and one whose empty span stands under another origin.
    pay(3, PRO, APRIL, MAY, origin="subscription_payment_method_change", now=moment(MARCH, days=2))
    pay(4, PRO, A_SECOND_LATER, A_SECOND_LATER)
    assert (paid_periods(subscriber), remaining(subscriber)) == before
    assert not Transaction.objects.waiting().exists()


@pytest.mark.parametrize("former", [True, False])
def test_a_price_that_is_unknown_holds_its_payment_up_until_it_is_known(subscriber: User, former: bool) -> None:  # P3
    pay(1, UNKNOWN, MARCH, APRIL)
    assert held_up() == f"Nothing here is sold at {UNKNOWN}."
    assert paid_periods(subscriber) == []
    names = {"former_price_ids": ["pri_older", UNKNOWN]} if former else {"paddle_price_id": UNKNOWN}
    PlanPrice.objects.filter(plan="pro", interval="month").update(**names)
    assert schedule.fulfil_due(moment(MARCH, days=1)) == 1
    assert (paid_periods(subscriber), held_up()) == ([("pro", "03-16", "04-16", 1000)], "")
    assert schedule.fulfil_due(moment(MARCH, days=1)) == 0
    assert_books_balance()


def test_without_a_billing_period_a_plan_waits_for_an_operator(subscriber: User) -> None:  # P3
    hear("transaction.completed", payment(1, line(STARTER)))
    assert held_up() == "It names no billing period."
    assert paid_periods(subscriber) == []


def test_one_line_that_cannot_be_given_does_not_hold_up_the_others(subscriber: User) -> None:  # P3
    lines = [line(UNKNOWN), line(CREDIT, 20, number=2), line(STARTER, number=3), line(CREDIT, 3, number=4)]
    hear("transaction.completed", payment(1, *lines, span=(MARCH, APRIL)), MARCH)
    assert sorted(left(subscriber)) == [("allocation", 250), ("purchased", 3), ("purchased", 20)]
    assert UNKNOWN in held_up()
    schedule.fulfil_due(moment(MARCH, days=1))
    assert remaining(subscriber) == 273
    assert_books_balance()


def test_a_payment_that_waits_does_not_hold_up_the_next(subscriber: User) -> None:  # P3
    pay(1, UNKNOWN, MARCH, APRIL)
    pay(2, STARTER, APRIL, MAY)
    assert paid_periods(subscriber) == [("starter", "04-16", "05-16", 250)]
    assert UNKNOWN in held_up(1)


def test_lines_of_none_and_of_less_than_none_give_nothing(subscriber: User) -> None:  # P2
    lines = [line(CREDIT, 0), line(CREDIT, -5, number=2), line(STARTER, -1, -1633, number=3), line(UNKNOWN, 0)]
    hear("transaction.completed", payment(1, *lines, span=(MARCH, APRIL)), MARCH)
    assert (paid_periods(subscriber), remaining(subscriber), held_up()) == ([], 50, "")


def test_a_payment_without_lines_gives_nothing_and_waits_for_nothing(subscriber: User) -> None:  # P2
    hear("transaction.completed", payment(1, span=(MARCH, APRIL)), MARCH)
    assert (remaining(subscriber), Transaction.objects.waiting().count()) == (50, 0)


@pytest.mark.parametrize("origin", ["subscription_recurring", "web", "api", "", "something new", "subscription_charge"])
def test_words_of_origin_that_are_unknown_are_payments_all_the_same(subscriber: User, origin: str) -> None:  # P2
    pay(1, STARTER, MARCH, APRIL, origin=origin)
    assert paid_periods(subscriber) == [("starter", "03-16", "04-16", 250)]


def test_two_lines_of_credits_are_given_each_and_one_of_them_named_twice_once(alice: User) -> None:  # B5
    buys(alice, transaction_id=name("txn", 1))
    hear("transaction.completed", payment(1, line(CREDIT, 10), line(CREDIT, 20, number=2), line(CREDIT, 10)))
    assert sorted(left(alice)) == [("allocation", 50), ("purchased", 10), ("purchased", 20)]


def test_a_plan_paid_twice_over_in_one_payment_is_one_period(subscriber: User) -> None:  # M7
    hear("transaction.completed", payment(1, line(STARTER, 2), line(STARTER, number=2), span=(MARCH, APRIL)), MARCH)
    assert paid_periods(subscriber) == [("starter", "03-16", "04-16", 250)]


@pytest.mark.parametrize("quantity", [10**14, 10**17, 10**23, 10**60])
def test_more_than_can_be_counted_is_kept_with_its_reason_and_stops_nobody(alice: User, quantity: int) -> None:  # P3
    buys(alice, transaction_id=name("txn", 1))
    hear("transaction.completed", payment(1, line(CREDIT, quantity), line(CREDIT, 5, number=2)))
    assert held_up()
    assert left(alice) == [("allocation", 50), ("purchased", 5)]
    buys(alice, transaction_id=name("txn", 2))
    hear("transaction.completed", payment(2, line(CREDIT, 7)))
    assert remaining(alice) == 62
    schedule.fulfil_due(moment(MAY))
    assert_books_balance()


# Upgrades

GROWTH = (Decimal(750) * 1459211482 / (31 * 86400 * 1000)).quantize(Decimal("0.000001"))


def change(number: int = 2, start: str = UPGRADED, end: str = APRIL, *, now: datetime | None = None) -> None:
    hear("transaction.completed", upgrade(number, start, end), start, now=now)


def test_an_upgrade_adds_the_difference_for_the_share_that_is_left(subscriber: User) -> None:  # M9
    pay(1, STARTER, MARCH, APRIL)
    use(subscriber, 100, now=moment(MARCH, days=1))
    change()
    assert paid_periods(subscriber) == [("pro", "03-16", "04-16", 250 + GROWTH)]
    assert remaining(subscriber) == 150 + GROWTH
    assert_books_balance()


@pytest.mark.parametrize("again", ["event", "clock"])
def test_an_upgrade_before_the_payment_it_changes_waits_for_it(subscriber: User, again: str) -> None:  # M9 P2
    now = moment(UPGRADED, seconds=2)
    change(now=now)
    assert held_up(2) == "It changes a period whose payment is not here yet."
    assert paid_periods(subscriber) == []
    if again == "event":
        pay(1, STARTER, MARCH, APRIL, now=now)
    else:
        # The payment came while it could not be given; only the clock tries it again.
        PlanPrice.objects.filter(paddle_price_id=STARTER).update(paddle_price_id="")
        pay(1, STARTER, MARCH, APRIL, now=now)
        assert len(paid_periods(subscriber)) == 0
        PlanPrice.objects.filter(plan="starter", interval="month").update(paddle_price_id=STARTER)
        schedule.fulfil_due(now)
    assert paid_periods(subscriber) == [("pro", "03-16", "04-16", 250 + GROWTH)]
    assert not Transaction.objects.waiting().exists()
    assert_books_balance()


def test_a_downgrade_gives_and_takes_nothing_until_the_period_ends(subscriber: User) -> None:  # M9
    pay(1, PRO, MARCH, APRIL)
    hear("transaction.completed", upgrade(2, UPGRADED, APRIL, old=PRO, new=STARTER), UPGRADED)
    assert paid_periods(subscriber) == [("pro", "03-16", "04-16", 1000)]
    pay(3, STARTER, APRIL, MAY)
    assert paid_periods(subscriber)[-1] == ("starter", "04-16", "05-16", 250)
    assert_books_balance()


def test_going_down_and_up_again_gives_nothing_twice(subscriber: User) -> None:  # M9
    pay(1, STARTER, MARCH, APRIL)
    change(2)
    hear("transaction.completed", upgrade(3, "2026-04-01T00:00:00Z", APRIL, old=PRO, new=STARTER), UPGRADED)
    for number in range(4, 8):
        change(number, f"2026-04-0{number}T00:00:00Z")
    assert Decimal(250) + GROWTH <= period(subscriber).allocation <= 1000
    assert_books_balance()


def test_from_the_month_to_the_year_begins_a_new_period(subscriber: User) -> None:  # M9
    pay(1, STARTER, MARCH, APRIL)
    use(subscriber, 50, now=moment(MARCH, days=1))
    bought = upgrade(2, UPGRADED, "2027" + UPGRADED[4:], old=STARTER, new=YEAR_OF_STARTER)
    hear("transaction.completed", bought, UPGRADED)
    # Paddle credited the rest of the month, so its credits for that time are taken back; 63.8 unused ones roll over.
    taken = Decimal("136.201789")
    assert paid_periods(subscriber) == [("starter", "03-16", "04-16", 250 - taken), ("starter", "03-30", "04-30", 250)]
    assert (period(subscriber).rollover, period(subscriber).paid_until) == (200 - taken, moment("2027" + UPGRADED[4:]))
    fulfilment.fulfil(subscriber.id, now=moment(UPGRADED, days=1))
    assert_books_balance()


def test_a_plan_ends_with_the_subscription_that_opened_it_whatever_was_paid_since(subscriber: User) -> None:  # M7
    pay(1, STARTER, MARCH, APRIL)
    hear("subscription.created", subscription(STARTER))
    other = renewal(2, PRO, "2026-03-20T00:00:00Z", APRIL, subscription_id=name("sub", 9))
    buys(subscriber, transaction_id=name("txn", 2), price=PRO, quantity=1)
    PlanPrice.objects.filter(paddle_price_id=PRO).update(paddle_price_id="")
    hear("transaction.completed", other, "2026-03-20T00:00:00Z")
    ownership.dismiss(name("txn", 2))
    hear("subscription.canceled", subscription(STARTER, status="canceled", canceled_at=APRIL), APRIL)
    schedule.end_plans(moment(APRIL, minutes=1))
    assert period(subscriber).plan_id == "free"


def test_an_upgrade_of_a_year_grows_the_month_it_is_in_and_those_to_come(subscriber: User) -> None:  # M9
    pay(1, YEAR_OF_STARTER, MARCH, "2027" + MARCH[4:])
    changed = upgrade(2, UPGRADED, "2027" + MARCH[4:], old=YEAR_OF_STARTER, new=YEAR_OF_PRO)
    hear("transaction.completed", changed, UPGRADED)
    assert paid_periods(subscriber) == [("pro", "03-16", "04-16", 250 + GROWTH)]
    use(subscriber, 1, now=moment(APRIL, days=1))
    assert paid_periods(subscriber)[-1] == ("pro", "04-16", "05-16", 1000)
    assert_books_balance()


def test_a_renewal_that_also_charges_for_days_before_gives_its_period_once(subscriber: User) -> None:  # M9 P2
    pay(1, STARTER, MARCH, APRIL)
    lines = [line(PRO, prorated=True), line(STARTER, -1, -900, number=2, prorated=True), line(PRO, number=3)]
    data = payment(2, *lines, span=(APRIL, MAY), subscription_id=SUBSCRIPTION, origin="subscription_recurring")
    hear("transaction.completed", data, APRIL)
    schedule.fulfil_due(moment(APRIL, minutes=1))
    assert paid_periods(subscriber)[1:] == [("pro", "04-16", "05-16", 1000)]
    assert not Transaction.objects.waiting().exists()


def test_what_the_database_refuses_of_one_payment_waits_with_its_reason(
    subscriber: User, monkeypatch: pytest.MonkeyPatch
) -> None:  # P3
    grant = grants.grant

    def refuse(account_id: Any, credits: Decimal, **rest: Any) -> Grant:
        if credits == 13:
            raise IntegrityError('duplicate key value violates "grant_once_per_source"\nDETAIL: of maya')
        return grant(account_id, credits, **rest)

    monkeypatch.setattr(grants, "grant", refuse)
    buys(subscriber, transaction_id=name("txn", 2))
    hear("transaction.completed", payment(2, line(CREDIT, 13)))
    assert held_up(2) == 'IntegrityError: duplicate key value violates "grant_once_per_source"'
    pay(1, STARTER, MARCH, APRIL)
    assert remaining(subscriber) == 250


# How plans end


def end(status: str, at: str, **changes: object) -> None:
    words: Body = {"canceled": {"canceled_at": at}, "paused": {"paused_at": at}}.get(status, {})
    data = subscription(status=status, current_billing_period=None) | words | changes
    hear(f"subscription.{status}", data, at)


@pytest.mark.parametrize("status", ["canceled", "paused"])
def test_a_plan_that_ended_becomes_free_at_that_moment(subscriber: User, status: str) -> None:  # B2 M7
    pay(1, PRO, MARCH, APRIL)
    end(status, UPGRADED)
    assert period(subscriber).plan_id == "pro"
    assert schedule.end_plans(moment(UPGRADED, minutes=1)) == 1
    opened = period(subscriber)
    assert (opened.plan_id, opened.starts_at, opened.allocation) == ("free", moment(UPGRADED), 50)
    assert Subscription.objects.get().wound_up_at == moment(UPGRADED, minutes=1)
    assert_books_balance()


def test_a_plan_ends_once(subscriber: User) -> None:  # B2
    pay(1, PRO, MARCH, APRIL)
    end("canceled", UPGRADED)
    counts = [schedule.end_plans(moment(UPGRADED, minutes=minute)) for minute in range(1, 4)]
    assert counts == [1, 0, 0]
    assert CreditPeriod.objects.filter(account=subscriber, starts_at=moment(UPGRADED)).count() == 1
    assert_books_balance()


def test_a_plan_that_ended_in_the_future_ends_now(subscriber: User) -> None:  # P2
    pay(1, PRO, MARCH, APRIL)
    end("canceled", UPGRADED, canceled_at=MAY)
    schedule.end_plans(moment(UPGRADED, minutes=1))
    assert period(subscriber).starts_at == moment(UPGRADED, minutes=1)


def test_bought_credits_outlive_the_plan(subscriber: User) -> None:  # M9
    pay(1, PRO, MARCH, APRIL)
    hear("transaction.completed", payment(2, line(CREDIT, 20), subscription_id=SUBSCRIPTION), A_SECOND_LATER)
    end("canceled", UPGRADED)
    schedule.end_plans(moment(UPGRADED, minutes=1))
    assert ("purchased", 20) in left(subscriber)


def test_a_paused_plan_resumes_with_its_next_payment(subscriber: User) -> None:  # B3 M7
    pay(1, PRO, MARCH, APRIL)
    end("paused", APRIL)
    schedule.end_plans(moment(APRIL, minutes=1))
    assert period(subscriber).plan_id == "free"
    # The payment is heard of first; the old snapshot, still the newest, says nothing about it.
    pay(2, PRO, MAY, JUNE)
    schedule.end_plans(moment(MAY, minutes=1))
    assert period(subscriber).plan_id == "pro"
    hear("subscription.resumed", subscription(PRO), MAY)
    schedule.end_plans(moment(MAY, minutes=2))
    assert period(subscriber).plan_id == "pro"
    assert_books_balance()


def test_an_unpaid_plan_stays_through_its_grace_and_not_longer(subscriber: User, settings: Settings) -> None:  # B7
    settings.PAST_DUE_GRACE = timedelta(days=3)
    pay(1, PRO, MARCH, APRIL)
    end("past_due", APRIL)
    over = moment(APRIL, days=3)
    schedule.end_plans(over - timedelta(microseconds=1))
    assert (period(subscriber).plan_id, Subscription.objects.get().wound_up_at) == ("pro", None)
    schedule.end_plans(over)
    assert (period(subscriber).plan_id, period(subscriber).starts_at) == ("free", over)
    assert_books_balance()


@pytest.mark.parametrize("days", [2, 12])
def test_an_unpaid_plan_that_is_paid_after_all_goes_on(subscriber: User, days: int) -> None:  # B7
    pay(1, PRO, MARCH, APRIL)
    use(subscriber, 400, now=moment(MARCH, days=1))
    end("past_due", APRIL)
    recovered = moment(APRIL, days=days)
    schedule.end_plans(recovered)
    assert period(subscriber).plan_id == ("pro" if days < 7 else "free")
    hear("transaction.completed", renewal(2, PRO, APRIL, MAY), recovered.isoformat())
    schedule.end_plans(recovered + timedelta(minutes=1))
    hear("subscription.activated", subscription(PRO), recovered.isoformat())
    schedule.end_plans(recovered + timedelta(minutes=2))
    opened = period(subscriber)
    assert (opened.plan_id, opened.paid_until, opened.allocation) == ("pro", moment(MAY), 1000)
    assert opened.rollover == (600 if days < 7 else 0)
    assert_books_balance()


def test_the_end_of_an_old_subscription_does_not_touch_the_plan_of_a_new_one(subscriber: User) -> None:  # B10
    pay(1, PRO, MARCH, APRIL)
    newer: Body = {"subscription_id": name("sub", 2)}
    buys(subscriber, transaction_id=name("txn", 2), price=PRO, quantity=1)
    hear("subscription.created", subscription(PRO, id=name("sub", 2), transaction_id=name("txn", 2)), APRIL)
    pay(2, PRO, APRIL, MAY, **newer)
    end("canceled", "2026-04-20T00:00:00Z")
    schedule.end_plans(moment("2026-04-20T00:01:00Z"))
    assert period(subscriber).plan_id == "pro"
    assert Subscription.objects.get(id=SUBSCRIPTION).wound_up_at
    end("canceled", "2026-04-21T00:00:00Z", id=name("sub", 2))
    schedule.end_plans(moment("2026-04-21T00:01:00Z"))
    assert period(subscriber).plan_id == "free"
    assert_books_balance()


def test_a_snapshot_older_than_the_newest_payment_ends_nothing(subscriber: User) -> None:  # P2
    end("past_due", MARCH)
    pay(1, PRO, APRIL, MAY, now=moment(APRIL, minutes=1))
    end("canceled", "2026-04-10T00:00:00Z")
    schedule.end_plans(moment(APRIL, minutes=2))
    assert period(subscriber).plan_id == "pro"


def test_something_newer_about_a_subscription_asks_again_whether_it_is_over(subscriber: User) -> None:  # P2
    pay(1, PRO, MARCH, APRIL)
    end("paused", "2026-03-10T00:00:00Z")
    schedule.end_plans(moment(UPGRADED))
    assert Subscription.objects.get().wound_up_at
    assert period(subscriber).plan_id == "pro"
    end("canceled", UPGRADED)
    assert Subscription.objects.get().wound_up_at is None
    schedule.end_plans(moment(UPGRADED, minutes=1))
    assert period(subscriber).plan_id == "free"


@pytest.mark.parametrize("held", [False, True])
def test_a_payment_that_comes_after_the_end_of_its_plan_ends_all_the_same(subscriber: User, held: bool) -> None:  # P2
    """The clock ran between the two: it must look again, or the plan would stay for ever."""
    if held:
        PlanPrice.objects.filter(paddle_price_id=PRO).update(paddle_price_id="")
        pay(1, PRO, MARCH, APRIL)
    end("canceled", APRIL)
    schedule.end_plans(moment(APRIL, minutes=1))
    if held:
        PlanPrice.objects.filter(plan="pro", interval="month").update(paddle_price_id=PRO)
        schedule.fulfil_due(moment(APRIL, minutes=2))
    else:
        pay(1, PRO, MARCH, APRIL, now=moment(APRIL, minutes=2))
    assert period(subscriber).plan_id == "pro"
    schedule.end_plans(moment(APRIL, minutes=3))
    assert period(subscriber).plan_id == "free"
    schedule.end_plans(moment(APRIL, minutes=4))
    assert Subscription.objects.over().count() == 0
    assert_books_balance()


def test_a_payment_that_waits_for_ever_does_not_keep_a_plan_from_ending(subscriber: User) -> None:  # P3
    pay(1, PRO, MARCH, APRIL)
    pay(2, UNKNOWN, APRIL, MAY)
    end("canceled", "2026-04-20T00:00:00Z")
    for minute in (1, 2):
        schedule.end_plans(moment("2026-04-20T00:00:00Z", minutes=minute))
        assert (period(subscriber).plan_id, period(subscriber).starts_at.day) == ("free", 20)
    assert_books_balance()


def test_a_subscription_of_nobody_ends_nothing() -> None:  # B10
    end("canceled", APRIL)
    assert schedule.end_plans(moment(MAY)) == 0


# Failures


def broken(which: Any, error: Exception, work: Callable[..., Any]) -> Callable[..., Any]:
    def refuse(account_id: Any, *rest: Any, **more: Any) -> Any:
        if account_id == which:
            raise error
        return work(account_id, *rest, **more)

    return refuse


ERRORS = [
    DatabaseError("gone\nDETAIL: maya"),
    ValueError("no"),
    ZeroDivisionError("no"),
    KeyError("no"),
    RuntimeError("no"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_event_whose_effects_fail_changes_nothing_and_is_tried_again(
    subscriber: User, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:  # P3
    now = moment(MARCH, minutes=1)
    # The last step of all is to follow refunds; this one is of nothing that was given.
    hear("adjustment.created", refund(1, 1, of=name("txn", 1), line_id=None))
    with monkeypatch.context() as patched:
        patched.setattr(refunds, "reconcile", lambda *_: fail(error))
        failed = receive(event(900, "transaction.completed", renewal(1, STARTER, MARCH, APRIL), MARCH), now)
    assert (failed.state, failed.due_at) == ("failed", now + timedelta(minutes=1))
    assert "maya" not in failed.error
    assert not Transaction.objects.exists()
    assert paid_periods(subscriber) == []
    assert inbox.apply_due(now + timedelta(minutes=1)) == 1
    assert PaddleEvent.objects.get(event_id=failed.event_id).state == "applied"
    assert paid_periods(subscriber) == [("starter", "03-16", "04-16", 250)]
    assert_books_balance()


def fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_account_that_cannot_be_settled_does_not_keep_the_others_waiting(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:  # P3
    accounts = sorted((make_user(f"{number}@example.com") for number in range(3)), key=lambda user: user.id)
    for number, account in enumerate(accounts, start=1):
        own: Body = {"subscription_id": name("sub", number), "customer_id": name("ctm", number)}
        buys(account, transaction_id=name("txn", number), price=STARTER, quantity=1)
        pay(number, UNKNOWN, MARCH, APRIL, **own)
        buys(account, transaction_id=name("txn", number + 50), price=STARTER, quantity=1)
        pay(number + 50, PRO, UPGRADED, MAY, **own)
        end("canceled", APRIL, id=name("sub", number), customer_id=name("ctm", number))
    PlanPrice.objects.filter(plan="starter", interval="month").update(paddle_price_id=UNKNOWN)
    with monkeypatch.context() as patched:
        patched.setattr(fulfilment, "fulfil", broken(accounts[1].id, error, fulfilment.fulfil))
        patched.setattr(schedule, "_end_plan", broken(accounts[1].id, error, schedule._end_plan))
        assert schedule.fulfil_due(moment(APRIL, hours=1)) == 3
        assert schedule.end_plans(moment(APRIL, hours=1)) == 3
    assert [period(account).plan_id for account in accounts] == ["free", "pro", "free"]
    assert list(Transaction.objects.waiting().values_list("account", flat=True)) == [accounts[1].id]
    assert_books_balance()


# Many at once


def deliveries(bodies: list[Body], now: datetime) -> list[Callable[[], str]]:
    def delivery(body: bytes) -> Callable[[], str]:
        return lambda: str(receive(body, now).state)

    return [delivery(json.dumps(body).encode()) for body in bodies]


@many_connections
@pytest.mark.django_db(transaction=True)
def test_fifty_deliveries_of_one_purchase_at_once_give_it_once(alice: User) -> None:  # B5 P1
    buys(alice)
    at_once(deliveries([event(801, "transaction.completed", transaction())] * 50, moment(MARCH)))
    assert left(alice) == [("allocation", 50), ("purchased", 137)]
    assert_books_balance()


@pytest.mark.django_db(transaction=True)
def test_what_is_used_while_a_payment_is_given_is_paid_from_it(alice: User) -> None:  # B5 M5
    """The debt is not to be seen before it is committed: giving waits for the wallet."""
    buys(alice)
    now, used, given = moment(MARCH, minutes=1), Event(), Event()
    use(alice, 30, now=now)

    def spend() -> None:
        with database.atomic():
            use(alice, 120, now=now)
            used.set()
            given.wait(timeout=1)

    def give() -> None:
        assert used.wait(timeout=30)
        receive(event(820, "transaction.completed", transaction()), now)
        given.set()

    at_once([spend, give])
    assert (remaining(alice), debt(alice)) == (37, 0)
    assert_books_balance()


@pytest.mark.django_db(transaction=True)
def test_different_events_of_one_purchase_at_once_give_it_once(alice: User) -> None:  # B5 P2
    buys(alice)
    told = [event(n, "transaction.updated", transaction(), f"2026-03-18T14:05:{n - 800:02}Z") for n in range(800, 830)]
    assert set(at_once(deliveries(told, moment(APRIL)))) <= {"applied", "stale"}
    assert ("purchased", 137) in left(alice)
    assert remaining(alice) == 187
    assert_books_balance()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("same_customer", [True, False])
def test_events_of_subscriptions_and_payments_at_once_neither_fail_nor_wait_for_each_other(
    same_customer: bool,
) -> None:  # P2
    """Twenty rounds; each account hears of its subscription and all that it paid in the same moment."""
    for turn in range(20):
        account = make_user(f"{turn}@example.com")
        one = 100 * turn + 10_000
        own: Body = {"subscription_id": name("sub", one)}
        customers = [name("ctm", one if same_customer else one + number) for number in range(5)]
        buys(account, transaction_id=name("txn", one), price=STARTER, quantity=1)
        told = [
            ("subscription.created", subscription(id=name("sub", one), transaction_id=name("txn", one)), MARCH),
            ("subscription.updated", subscription(id=name("sub", one)), A_SECOND_LATER),
            ("transaction.completed", renewal(one, STARTER, MARCH, APRIL, **own), MARCH),
            ("transaction.completed", upgrade(one + 1, UPGRADED, APRIL, **own), UPGRADED),
            ("transaction.completed", renewal(one + 2, PRO, APRIL, MAY, **own), APRIL),
        ]
        bodies = [
            event(one + place, kind, data | {"customer_id": customers[place]}, at)
            for place, (kind, data, at) in enumerate(told)
        ]
        states = at_once(deliveries(bodies, moment(APRIL, minutes=1)))
        assert set(states) <= {"applied", "stale"}, list(PaddleEvent.objects.filter(state="failed").values("error"))
        if same_customer:
            assert not Transaction.objects.waiting().exists()
            assert [row[0] for row in paid_periods(account)] == ["pro", "pro"]
    assert_books_balance()


@pytest.mark.django_db(transaction=True)
def test_events_of_two_customers_of_one_account_at_once_give_each_once(alice: User) -> None:  # P2
    buys(alice, transaction_id=name("txn", 1), price=STARTER, quantity=1)
    bodies = []
    for number in range(2, 12):
        buys(alice, transaction_id=name("txn", number))
        bodies.append(payment(number, line(CREDIT, 10, number=number), customer_id=name("ctm", number)))
    bodies.append(renewal(1, STARTER, MARCH, APRIL))
    told = [event(600 + place, "transaction.completed", body, MARCH) for place, body in enumerate(bodies)]
    assert set(at_once(deliveries(told, moment(MARCH, minutes=1)))) == {"applied"}
    assert remaining(alice) == 350
    assert_books_balance()


@pytest.mark.django_db(transaction=True)
def test_the_clock_and_the_events_of_what_it_settles_never_wait_for_each_other(alice: User) -> None:  # P2 P3
    """Payments that wait, and a plan that is over, are told of again while the clock is at them."""
    buys(alice, transaction_id=name("txn", 1), price=STARTER, quantity=1)
    pay(1, PRO, MARCH, APRIL)
    for number in range(2, 8):
        buys(alice, transaction_id=name("txn", number))
        data = payment(number, line(UNKNOWN, 10, number=number), customer_id=name("ctm", number))
        hear("transaction.completed", data, MARCH)
    end("canceled", APRIL)
    now = moment(APRIL, minutes=1)
    for turn in range(15):
        told = [
            event(
                7000 + 10 * turn + number,
                "transaction.updated",
                payment(number, line(UNKNOWN, 10, number=number), customer_id=name("ctm", number)),
                f"2026-04-18T14:05:{turn:02}Z",
            )
            for number in range(2, 8)
        ]
        ended = subscription(status="canceled", canceled_at=APRIL)
        told.append(event(7000 + 10 * turn, "subscription.canceled", ended, f"2026-04-18T14:05:{turn:02}Z"))

        def clock() -> str:
            return f"{schedule.fulfil_due(now)} {schedule.end_plans(now)}"

        states = at_once([*deliveries(told, now), clock, clock])
        assert states[:7] == ["applied"] * 7, list(PaddleEvent.objects.filter(state="failed").values("error"))
    schedule.end_plans(now)
    assert period(alice).plan_id == "free"
    assert_books_balance()


@pytest.mark.django_db(transaction=True)
def test_what_is_told_of_a_subscription_while_the_clock_is_at_it_is_not_passed_over(subscriber: User) -> None:  # P2
    pay(1, PRO, MARCH, APRIL)
    end("paused", "2026-03-10T00:00:00Z")
    now, told, looked = moment(UPGRADED, minutes=1), Event(), Event()

    def tell() -> None:
        with database.atomic():
            end("canceled", UPGRADED)
            told.set()
            looked.wait(timeout=1)

    def look() -> None:
        assert told.wait(timeout=30)
        schedule.end_plans(now)
        looked.set()

    at_once([tell, look])
    schedule.end_plans(now)
    assert period(subscriber).plan_id == "free"


@pytest.mark.django_db(transaction=True)
def test_a_refund_and_another_purchase_at_once_are_both_followed(alice: User) -> None:  # P4
    buys(alice)
    hear("transaction.completed", transaction())
    for turn in range(10):
        buys(alice, transaction_id=name("txn", 50 + turn))
        bodies = [
            event(8000 + 3 * turn, "transaction.completed", payment(50 + turn, line(CREDIT, 10, number=50 + turn))),
            # Two adjustments of one payment, which Paddle may know under two customers after a merge.
            event(8001 + 3 * turn, "adjustment.created", refund(900 + 2 * turn, 100)),
            event(8002 + 3 * turn, "adjustment.created", refund(901 + 2 * turn, 50, customer_id=name("ctm", 9))),
        ]
        assert set(at_once(deliveries(bodies, moment(MARCH, minutes=1)))) == {"applied"}
        assert remaining(alice) == 50 + 137 - 137 * 150 * (turn + 1) // 3729 + 10 * (turn + 1)
    assert_books_balance()


# Statements


@pytest.mark.parametrize("before", [3, 300])
def test_a_payment_costs_the_same_however_many_there_were(
    subscriber: User, before: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    pay(1, STARTER, MARCH, APRIL)
    template = Transaction.objects.get()
    for number in range(before):
        template.pk, template.subscription_id = name("txn", 3000 + number), ""
        template._state.adding = True
        template.save()
    buys(subscriber)
    now = moment(MARCH, minutes=1)
    with django_assert_num_queries(15):
        receive(event(1000, "transaction.completed", transaction()), now)
    with django_assert_num_queries(38):
        receive(event(1001, "transaction.completed", renewal(2, STARTER, APRIL, MAY), APRIL), now)
    with django_assert_num_queries(22):
        receive(event(1002, "adjustment.created", adjustment(customer_id=template.customer_id)), now)
    assert ("purchased", 97) in left(subscriber)
    assert Transaction.objects.filter(id=TRANSACTION, settled_at__isnull=False).exists()
