"""The recorded life of one customer: 41 bodies, with what a correct consumer ends in (P2).

The bodies stand beside the project and are richer than ours; who has only the project does without them.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import transaction

from billing import schedule
from billing.models import PaddleEvent, PlanPrice, Subscription, Transaction
from billing.paddle import inbox
from credits.models import CreditPeriod, Grant
from sidekick.accounts.models import User
from tests.billing.bodies import post, stored_snapshots
from tests.credits.books import assert_books_balance, left, period

RECORDED = Path(settings.BASE_DIR).parent / "shared" / "paddle" / "events"
ACCOUNT = "acct_5f0c2d7e9b"
PLANS = {"pri_01kertbv800zqzyt6dtckd3da6": "starter", "pri_01kertbv801daf7qh5z8nw8k6d": "pro"}
CREDIT = "pri_01kertbv801pjzm7h0g15kfmvq"
PURCHASE = "txn_01km0m2030rd0myfarefafbfw7"
AFTERWARDS = datetime(2026, 7, 25, 12, tzinfo=UTC)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not RECORDED.is_dir(), reason="The recorded events are not beside the project."),
]


@pytest.fixture(autouse=True)
def _prices(db: None) -> None:
    for price_id, plan in PLANS.items():
        PlanPrice.objects.filter(plan=plan, interval="month").update(paddle_price_id=price_id)
    PlanPrice.objects.filter(interval="credit").update(paddle_price_id=CREDIT)


def bodies_of(account: User) -> dict[str, bytes]:
    """By number, as if they were about this account."""
    files = sorted(RECORDED.glob("*.json"))
    return {path.name[:2]: path.read_bytes().replace(ACCOUNT.encode(), str(account.id).encode()) for path in files}


def occurred(body: bytes) -> datetime:
    return datetime.fromisoformat(json.loads(body)["occurred_at"])


def told() -> dict[str, list[str]]:
    """Per number what the folder's README says: what a consumer does, the subscription and the credits after it."""
    rows = [line.split("|") for line in (RECORDED / "README.md").read_text().splitlines() if line[2:4].isdigit()]
    return {row[1].strip(): [cell.strip() for cell in row[4:7]] for row in rows}


def subscription_in_words() -> str:
    found = Subscription.objects.first()
    if not found:
        return "-"
    change = f" [{found.change_action} {found.change_at:%Y-%m-%d}]" if found.change_at else ""
    return f"{found.status}/{PLANS[found.price_id]}{change}"


def bought(account: User) -> Decimal:
    given = Grant.objects.filter(account=account, kind=Grant.Kind.PURCHASED)
    return sum((grant.remaining for grant in given), Decimal(0))


def test_in_order_and_in_time_they_tell_the_story_of_their_readme(alice: User) -> None:  # P2 P4 B1 B5
    story = told()
    assert len(story) == 41
    for number, body in bodies_of(alice).items():
        with time_machine.travel(max(occurred(body), datetime(2026, 3, 2, tzinfo=UTC)) + timedelta(seconds=2)):
            response = post(body)
        does, subscribed, credits = story[number]
        expected = {"applied": "applied", "duplicate": "applied", "stored, not handled": "ignored"}.get(does, "stale")
        assert response.status_code == 200
        assert (response.json()["state"], response.json()["duplicate"]) == (expected, does == "duplicate"), number
        assert subscription_in_words() == subscribed, number
        assert bought(alice) == Decimal(credits), number
    assert not Transaction.objects.waiting().exists()
    assert_books_balance()


def test_in_time_every_payment_opens_its_period_and_the_pause_is_free(alice: User) -> None:  # M7 M8 M9
    for body in bodies_of(alice).values():
        now = occurred(body) + timedelta(seconds=2)
        inbox.receive(body, now=now)
        schedule.end_plans(now)
    opened = CreditPeriod.objects.filter(account=alice).order_by("starts_at")
    assert [(p.plan_id, f"{p.starts_at:%m-%d}", f"{p.ends_at:%m-%d}") for p in opened] == [
        ("free", "02-28", "03-31"),
        ("starter", "03-02", "03-16"),
        ("pro", "03-16", "04-16"),
        ("pro", "04-16", "05-16"),
        ("pro", "05-16", "06-16"),
        ("free", "06-16", "07-16"),
        ("pro", "07-16", "08-16"),
    ]
    # The upgrade came when 54.4810 % of the month were left: 750 × that on top of Starter's 250.
    upgraded = opened[2]
    assert upgraded.allocation == Decimal(250) + (Decimal(750) * 1459211482000 / (31 * 86400 * 10**6)).quantize(
        Decimal("0.000001")
    )
    assert (upgraded.rollover, opened[3].rollover) == (250, min(upgraded.allocation, 1000))
    assert left(alice) == [("allocation", Decimal(1000)), ("purchased", Decimal(97))]
    assert_books_balance()


def state_of(account: User) -> dict[str, Any]:
    """Everything that must not depend on the order of deliveries."""
    opened = period(account)
    kept = ("settled_at", "held_up", "wound_up_at")
    return {
        "snapshots": {
            name: {key: value for key, value in row.items() if key not in kept}
            for name, row in stored_snapshots().items()
        },
        "waiting": Transaction.objects.waiting().count(),
        "period": (opened.plan_id, opened.starts_at, opened.ends_at, opened.allocation, opened.rollover),
        "left": sorted(left(account)),
        "paid periods": sorted(
            CreditPeriod.objects.filter(account=account, paid_until__isnull=False).values_list(
                "plan_id", "starts_at", "allocation"
            )
        ),
    }


def deliver(bodies: list[bytes], seed: int, now: datetime) -> None:
    """Each twice, in a random order; now and then the database refuses, as if it had been killed in between."""
    dice = random.Random(seed)
    twice = bodies * 2
    dice.shuffle(twice)
    for body in twice:
        if dice.random() < 0.2:
            killed_in_between(body, now)
        inbox.receive(body, now=now)


def killed_in_between(body: bytes, now: datetime) -> None:
    """Everything done, and gone before it was committed."""
    with transaction.atomic():
        inbox.receive(body, now=now)
        transaction.set_rollback(True)


@pytest.mark.parametrize("hundred", range(4))
def test_in_two_hundred_orders_each_twice_and_broken_off_the_end_is_the_same(
    alice: User, hundred: int
) -> None:  # P2 P3 P4
    bodies = list(bodies_of(alice).values())
    ends: list[dict[str, Any]] = []
    for seed in (None, *range(hundred * 50, hundred * 50 + 50)):
        with transaction.atomic():
            if seed is None:
                for body in bodies:
                    inbox.receive(body, now=AFTERWARDS)
            else:
                deliver(bodies, seed, AFTERWARDS)
            assert not PaddleEvent.objects.filter(state="failed").exists()
            assert_books_balance()
            ends.append(state_of(alice))
            transaction.set_rollback(True)
        assert ends[-1] == ends[0], seed
    assert bought_in(ends[0]) == 97


def bought_in(end: dict[str, Any]) -> Decimal:
    return sum((credits for kind, credits in end["left"] if kind == "purchased"), Decimal(0))
