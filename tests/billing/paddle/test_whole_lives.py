"""Whole lives of accounts end the same in any order of events, however often each is delivered."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction as database

from billing import schedule
from billing.models import PaddleEvent, Subscription
from sidekick.accounts.models import User
from tests.billing.bodies import (
    APRIL,
    CREDIT,
    JULY,
    JUNE,
    MARCH,
    MAY,
    PRO,
    STARTER,
    UPGRADED,
    Body,
    buys,
    event,
    line,
    moment,
    name,
    payment,
    receive,
    refund,
    renewal,
    subscription,
    upgrade,
)
from tests.billing.paddle.test_recorded import killed_in_between, state_of
from tests.credits.books import assert_books_balance

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 5, 10, 12, 7, 30, tzinfo=UTC)
AFTERWARDS = moment(JULY, days=4)
Told = list[tuple[str, Body, str]]


def a_life(account: User, dice: random.Random) -> list[bytes]:
    """Two subscriptions after each other, purchases beside them, and money that went back of all of it."""
    told = [*first_plan(account, dice), *second_plan(account, dice), *purchases(account, dice)]
    told += [("weather.changed", {"id": "wtr_1"}, MARCH)]
    return [json.dumps(event(number, *parts)).encode() for number, parts in enumerate(told)]


def first_plan(account: User, dice: random.Random) -> Told:
    buys(account, transaction_id=name("txn", 1), price=STARTER, quantity=1)
    own: Body = {"subscription_id": name("sub", 1)}
    created = subscription(id=name("sub", 1), transaction_id=name("txn", 1))
    told = [
        ("subscription.created", created, MARCH),
        ("transaction.paid", renewal(1, STARTER, MARCH, APRIL, status="paid", subscription_id=None), MARCH),
        ("transaction.completed", renewal(1, STARTER, MARCH, APRIL, **own), "2026-03-16T09:21:00Z"),
    ]
    if dice.random() < 0.6:
        told.append(("transaction.completed", upgrade(2, UPGRADED, APRIL, **own), UPGRADED))
        told.append(("subscription.updated", subscription(PRO, id=name("sub", 1)), UPGRADED))
    if dice.random() < 0.7:
        told.append(("subscription.past_due", subscription(id=name("sub", 1), status="past_due"), APRIL))
        told.append(("transaction.completed", renewal(3, dice.choice([STARTER, PRO]), APRIL, MAY, **own), APRIL))
    ended = subscription(id=name("sub", 1), status="canceled", canceled_at=MAY)
    return [*told, ("subscription.canceled", ended, MAY)]


def second_plan(account: User, dice: random.Random) -> Told:
    buys(account, transaction_id=name("txn", 11), price=PRO, quantity=1)
    own: Body = {"subscription_id": name("sub", 2), "customer_id": name("ctm", dice.choice([1, 2]))}
    newest = renewal(12, PRO, JUNE, JULY, **own)
    told = [
        ("subscription.created", subscription(PRO, id=name("sub", 2), customer_id=own["customer_id"]), MAY),
        ("transaction.completed", renewal(11, PRO, MAY, JUNE, **own), MAY),
        ("transaction.completed", newest, JUNE),
    ]
    if dice.random() < 0.4:
        told += back(dice, 12, 1633, whole=dice.random() < 0.5)
    if dice.random() < 0.5:
        ended = subscription(PRO, id=name("sub", 2), status="canceled", canceled_at=JULY, customer_id=name("ctm", 2))
        told.append(("subscription.canceled", ended, JULY))
    return told


def purchases(account: User, dice: random.Random) -> Told:
    told: Told = []
    for number in range(20, 20 + dice.randrange(4)):
        quantity, money = dice.randrange(1, 301), dice.randrange(70, 9000)
        made = buys(account, transaction_id=dice.choice(["", name("txn", number)]), quantity=quantity)
        data = payment(number, line(CREDIT, quantity, money, number=number), custom_data={"purchase_id": str(made.id)})
        for status, second in (("draft", 1), ("paid", 2), ("completed", 3)):
            told.append(("transaction.updated", data | {"status": status}, f"2026-05-20T10:00:{second:02}Z"))
        for turn in range(dice.randrange(4)):
            told += back(dice, 10 * number + turn, dice.randrange(1, money + 500), of=number)
    return told


def back(dice: random.Random, number: int, money: int, *, of: int = 12, whole: bool = True) -> Told:
    """A refund, or a dispute that may be won, of one line or of all."""
    own: Body = {"of": name("txn", of), "line_id": name("txnitm", of) if dice.random() < 0.5 else None}
    own["customer_id"] = name("ctm", dice.choice([1, 2, 3]))
    action = dice.choice(["refund", "chargeback", "chargeback_warning"])
    money = money if whole else money // 2
    told: Told = []
    for second, status in enumerate(
        ["pending_approval", dice.choice(["approved", "approved", "rejected", "reversed"])]
    ):
        at = f"2026-07-17T10:00:{second:02}Z"
        told.append(("adjustment.updated", refund(number, money, status=status, action=action, **own), at))
    if action != "refund" and dice.random() < 0.5:
        returned = refund(number + 5000, money, action=f"{action}_reverse", **own)
        told.append(("adjustment.created", returned, "2026-07-18T10:00:00Z"))
    return told


def deliver(bodies: list[bytes], dice: random.Random) -> None:
    often = [body for body in bodies for _ in range(dice.randrange(1, 4))]
    dice.shuffle(often)
    for body in often:
        if dice.random() < 0.15:
            killed_in_between(body, AFTERWARDS)
        receive(body, AFTERWARDS)
        if dice.random() < 0.1:
            schedule.fulfil_due(AFTERWARDS)


def end_of(account: User, bodies: list[bytes], dice: random.Random | None) -> dict[str, Any]:
    """Where it ends in this order, and gone again; without dice in the order it happened."""
    with database.atomic():
        if dice:
            deliver(bodies, dice)
        for body in [] if dice else bodies:
            receive(body, AFTERWARDS)
        for minute in range(2):
            schedule.fulfil_due(AFTERWARDS + timedelta(minutes=minute))
            schedule.end_plans(AFTERWARDS + timedelta(minutes=minute))
        assert not PaddleEvent.objects.filter(state="failed").exists()
        assert not Subscription.objects.over().exists()
        assert_books_balance()
        end = state_of(account)
        database.set_rollback(True)
    return end


@pytest.mark.usefixtures("sold")
@pytest.mark.parametrize("life", range(8))
def test_a_life_in_any_order_ends_the_same(alice: User, life: int) -> None:  # P2 P3 P4
    bodies = a_life(alice, random.Random(life))
    expected = end_of(alice, bodies, None)
    assert expected["waiting"] == 0
    for order in range(3):
        assert end_of(alice, bodies, random.Random(f"{life} {order}")) == expected, order
