"""Changing, canceling and resuming a plan, and when each is possible."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread

import pytest
from django.utils import timezone
from pytest_django import Settings

from billing import schedule, subscriptions
from billing.models import PlanPrice, Subscription
from billing.paddle import setup
from billing.refusals import ChangeRefused
from credits.models import Plan
from sidekick.accounts.models import User
from tests.billing import store as stores
from tests.billing.bodies import MARCH, MAY, SUBSCRIPTION, hear, subscription
from tests.billing.paddle.test_api import Scripted, data
from tests.billing.store import Store, price
from tests.credits.books import assert_books_balance, left, period

pytestmark = pytest.mark.django_db


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with stores.opened(settings) as opened:
        yield opened


@pytest.fixture
def years(store: Store) -> None:
    """Plans are sold by the year, too."""
    for plan, amount in (("starter", 15000), ("pro", 39000)):
        PlanPrice.objects.create(plan_id=plan, interval="year", amount=amount)
    setup.set_up(dry_run=False)


@pytest.fixture
def wire(settings: Settings) -> Iterator[Scripted]:
    """A Paddle that writes down what it is asked."""
    with Scripted() as scripted:
        Thread(target=scripted.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        settings.PADDLE_API_URL, settings.PADDLE_API_KEY = scripted.url, stores.KEY
        yield scripted
        scripted.shutdown()


@pytest.mark.usefixtures("years")
def test_a_year_whose_money_went_back_can_not_be_changed(store: Store, alice: User) -> None:  # B6 P4
    """Paddle would charge for the rest of a year that ends with its month here."""
    bought = store.buy(alice, "starter", interval="year")
    store.world.refund(bought.transaction_id)
    store.deliver()
    assert subscriptions.state_of(alice).may_change
    for ask in (subscriptions.preview, subscriptions.change):
        with pytest.raises(ChangeRefused, match="went back to you"):
            ask(alice, price("pro", "year"))
    assert period(alice).plan_id == "starter"
    assert_books_balance()


@pytest.mark.usefixtures("years")
def test_a_year_whose_money_came_again_can_be_changed(store: Store, alice: User) -> None:  # B6 P4
    bought = store.buy(alice, "starter", interval="year")
    disputed = store.world.charge_back(bought.transaction_id)
    store.deliver()
    store.world.reverse(disputed["id"])
    store.deliver()
    subscriptions.change(alice, price("pro", "year"))
    store.deliver()
    assert period(alice).plan_id == "pro"
    assert_books_balance()


@pytest.mark.parametrize(
    ("status", "scheduled", "when"),
    [
        ("active", None, "next_billing_period"),
        ("active", "pause", "next_billing_period"),
        ("past_due", None, "next_billing_period"),
        ("paused", None, "immediately"),
        ("paused", "resume", "immediately"),
    ],
)
def test_only_a_paused_plan_is_canceled_at_once(
    wire: Scripted, alice: User, status: str, scheduled: str | None, when: str
) -> None:  # B2
    change = {"action": scheduled, "effective_at": MAY, "resume_at": None} if scheduled else None
    known = subscription(status=status, scheduled_change=change)
    hear("subscription.updated", known, MARCH)
    Subscription.objects.update(account=alice)
    over = subscription(status="canceled", canceled_at=MAY, updated_at=MAY)
    wire.says(*([data(known)] if status == "paused" else []), data(over))
    subscriptions.cancel(alice)
    asked = wire.seen[-1]
    assert (asked.path, asked.body) == (f"/subscriptions/{SUBSCRIPTION}/cancel", {"effective_from": when})
    assert subscriptions.state_of(alice).subscription is None


def test_a_plan_that_has_gone_on_meanwhile_keeps_what_was_charged_for(store: Store, alice: User) -> None:  # B2
    """Its pause is over at Paddle, the card is charged, and no webhook has told of it yet."""
    paused = store.subscribe(alice, "pro")
    store.pause(paused, days=40)
    schedule.end_plans(timezone.now())
    store.world.resume(paused)
    subscriptions.cancel(alice)
    store.deliver()
    schedule.end_plans(timezone.now())
    state = subscriptions.state_of(alice)
    assert (state.plan.slug, state.ends_at) == ("pro", state.period.paid_until)
    assert_books_balance()


@pytest.fixture
def studio(store: Store) -> None:
    """A plan that costs more than Pro and gives fewer credits."""
    plan = Plan.objects.create(slug="studio", name="Studio", position=9, monthly_credits=800, rollover_percent=100)
    PlanPrice.objects.create(plan=plan, interval="month", amount=9900)
    setup.set_up(dry_run=False)


@pytest.mark.usefixtures("studio")
def test_a_dearer_plan_with_fewer_credits_begins_and_is_paid_at_once(store: Store, alice: User) -> None:  # B6 M9
    store.subscribe(alice, "pro")
    assert subscriptions.preview(alice, price("studio")).action == "charge"
    subscriptions.change(alice, price("studio"))
    assert subscriptions.state_of(alice).coming == Plan.objects.get(slug="studio")
    store.deliver()
    state = subscriptions.state_of(alice)
    assert (state.plan.slug, state.coming, state.next_plan) == ("studio", None, None)
    # No change of plan takes credits away.
    assert left(alice) == [("allocation", 1000)]
    assert_books_balance()


@pytest.mark.usefixtures("studio")
def test_a_cheaper_plan_with_more_credits_begins_with_the_next_period(store: Store, alice: User) -> None:  # B6 M9
    store.subscribe(alice, "studio")
    assert subscriptions.preview(alice, price("pro")).action == "nothing"
    subscriptions.change(alice, price("pro"))
    store.deliver()
    state = subscriptions.state_of(alice)
    assert (state.plan.slug, state.coming, state.next_plan) == ("studio", None, Plan.objects.get(slug="pro"))
    assert left(alice) == [("allocation", 800)]
    assert_books_balance()
