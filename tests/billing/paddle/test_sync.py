"""Catching up with Paddle's feed, and healing what differs, against the simulator."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from billing.models import EventFeed, PaddleEvent, Subscription, Transaction
from billing.paddle import api, inbox
from billing.paddle import sync as paddle_sync
from billing.paddle.sync import sync
from billing.simulator.server import Server
from billing.simulator.world import World

pytestmark = pytest.mark.django_db
KEY = "pdl_sdbx_apikey_of_these_tests"
Entity = dict[str, Any]


@pytest.fixture
def world(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A Paddle account that sends its events nowhere."""
    world = World(api_key=KEY, secret="pdl_ntfset_x", payment_link="http://localhost:8000/dashboard/billing/pay")
    monkeypatch.setattr("billing.paddle.client.PAUSES", (0.01, 0.02))
    with Server(world, port=0) as server:
        settings.PADDLE_API_URL, settings.PADDLE_API_KEY = server.url, KEY
        settings.PADDLE_READ_SECONDS = settings.PADDLE_WRITE_SECONDS = 20
        yield world


def price(amount: int) -> str:
    product = api.make("product", {"name": "Plan", "tax_category": "saas"})
    body: Entity = {"description": "Plan", "product_id": product["id"]}
    body["unit_price"] = {"amount": str(amount), "currency_code": "USD"}
    return str(api.make("price", body | {"billing_cycle": {"interval": "month", "frequency": 1}})["id"])


@pytest.fixture
def subscribed(world: World) -> str:
    """Somebody bought a plan, and no webhook told us. Returns the subscription's id."""
    opened = api.open_transaction(price_id=price(1500), quantity=1, customer_id=None, custom_data={})
    return str(world.pay(opened["id"])["subscription_id"])


@pytest.fixture
def known(subscribed: str) -> str:
    """The same, when we have caught up with it."""
    assert not sync(later()).fault
    return subscribed


def test_before_plans_are_ended_the_feed_is_read(world: World, subscribed: str) -> None:  # B7 P5
    now = later()
    world.faults.add("error", times=9)
    assert not paddle_sync.ensure_fresh(now)
    world.faults.clear()
    assert paddle_sync.ensure_fresh(now)
    assert Subscription.objects.filter(id=subscribed).exists()
    asked = PaddleEvent.objects.count()
    world.faults.add("error", times=9)
    assert paddle_sync.ensure_fresh(now + timedelta(minutes=119))
    assert not paddle_sync.ensure_fresh(now + timedelta(minutes=121))
    assert PaddleEvent.objects.count() == asked


def later() -> datetime:
    """When all that happened so far has settled."""
    return timezone.now() + timedelta(minutes=10)


def lose_the_events() -> None:
    """As if Paddle had forgotten them: the feed is read up to its end without them."""
    EventFeed.objects.update(after=[event["event_id"] for event in api.events_after("")][-1])


def row(subscription_id: str) -> Entity:
    return dict(Subscription.objects.values(*paddle_sync.COMPARED).get(id=subscription_id))


def test_what_no_webhook_told_is_read_from_the_feed(world: World, subscribed: str) -> None:  # P5
    report = sync(later())
    feed = [event["event_id"] for event in api.events_after("")]
    assert (report.events_read, report.events_new) == (len(feed), len(feed))
    assert set(PaddleEvent.objects.values_list("event_id", flat=True)) == set(feed)
    assert Subscription.objects.get(id=subscribed).status == "active"
    assert Transaction.objects.get().status == "completed"
    assert (report.compared, report.drifted, report.fault) == (1, 0, None)


def test_what_is_known_is_not_read_again(world: World, known: str) -> None:  # P5
    report = sync(later())
    assert (report.events_read, report.drifted) == (0, 0)
    feed = EventFeed.objects.get()
    assert feed.after == max(PaddleEvent.objects.values_list("event_id", flat=True))
    assert feed.read_at


def test_what_a_webhook_brought_counts_once(world: World, known: str) -> None:
    EventFeed.objects.update(after="")
    report = sync(later())
    assert report.events_read == PaddleEvent.objects.count()
    assert report.events_new == 0


def test_the_newest_events_are_read_once_more_since_an_older_one_may_still_appear(
    world: World, subscribed: str
) -> None:
    first = sync(timezone.now())
    second = sync(timezone.now())
    assert second.events_read == first.events_read > 0
    assert second.events_new == 0
    assert EventFeed.objects.get().after == ""


def test_a_run_that_started_earlier_does_not_turn_the_feed_back(
    world: World, subscribed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = inbox.receive

    def overtaken(*args: Any, **kwargs: Any) -> tuple[PaddleEvent, bool]:
        EventFeed.objects.update(after="evt_zzz")
        return received(*args, **kwargs)

    monkeypatch.setattr(inbox, "receive", overtaken)
    sync(later())
    assert EventFeed.objects.get().after == "evt_zzz"


def test_a_fault_midway_keeps_what_was_done_and_says_so(
    world: World, subscribed: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # P5
    monkeypatch.setattr(api, "A_PAGE", "2")
    received = inbox.receive

    def then_paddle_breaks(*args: Any, **kwargs: Any) -> tuple[PaddleEvent, bool]:
        world.faults.add("error", path="/events", times=3)
        return received(*args, **kwargs)

    monkeypatch.setattr(inbox, "receive", then_paddle_breaks)
    report = sync(later())
    assert report.fault
    assert report.fault.code == "broken"
    assert "Ended early" in str(report)
    assert (report.events_read, PaddleEvent.objects.count()) == (2, 2)
    assert EventFeed.objects.get().after == max(PaddleEvent.objects.values_list("event_id", flat=True))
    monkeypatch.setattr(inbox, "receive", received)
    world.faults.clear()
    assert not sync(later()).fault
    assert PaddleEvent.objects.count() == len(list(api.events_after("")))


def test_an_event_that_is_none_does_not_stop_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch, known: str
) -> None:
    lost = [{"event_id": "evt_strange"}, {}]
    monkeypatch.setattr(api, "events_after", lambda cursor: iter(lost))
    report = sync(later())
    assert report.unreadable == ["evt_strange", "None"]
    assert report.compared == 1


def test_a_subscription_that_changed_unseen_is_healed(world: World, known: str) -> None:  # P5
    api.cancel(known)
    lose_the_events()
    report = sync(later())
    assert (report.healed, report.drifted) == ([known], 1)
    assert row(known)["change_action"] == "cancel"
    assert sync(later()).drifted == 0


def test_a_subscription_nobody_told_of_is_taken_in(world: World, subscribed: str) -> None:  # P5
    EventFeed.objects.create(name=paddle_sync.FEED)
    lose_the_events()
    report = sync(later())
    assert report.events_read == 0
    assert report.healed == [subscribed]
    assert Subscription.objects.get().id == subscribed


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "paused"},
        {"price_id": "pri_other"},
        {"period_starts_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"period_ends_at": datetime(2027, 12, 1, tzinfo=UTC)},
        {"period_starts_at": None, "period_ends_at": None},
        {"next_billed_at": None},
        {"change_action": "cancel", "change_at": datetime(2026, 12, 1, tzinfo=UTC)},
    ],
    ids=lambda wrong: ", ".join(wrong),
)
def test_every_difference_that_matters_is_seen(world: World, known: str, wrong: Entity) -> None:
    right = row(known)
    Subscription.objects.update(snapshot_at=datetime(2026, 1, 1, tzinfo=UTC), **wrong)
    assert sync(later()).healed == [known]
    assert row(known) == right


@pytest.mark.parametrize("name", ["change_at", "change_resume_at"])
def test_a_scheduled_change_at_another_time_is_seen(world: World, known: str, name: str) -> None:
    world.pause(known, timezone.now() + timedelta(days=90), now=False)
    sync(later())
    right = row(known)
    other = datetime(2027, 12, 1, tzinfo=UTC)
    Subscription.objects.update(snapshot_at=datetime(2026, 1, 1, tzinfo=UTC), **{name: other})
    assert sync(later()).healed == [known]
    assert row(known) == right


def test_a_difference_that_claims_to_be_newer_is_reported(world: World, known: str) -> None:
    Subscription.objects.update(snapshot_at=later(), status="paused")
    report = sync(later())
    assert (report.unhealed, report.healed) == ([known], [])
    assert f"Still different (1): {known}" in str(report)


def test_a_webhook_that_was_faster_than_the_list_is_no_difference(world: World, known: str) -> None:
    report = paddle_sync.Report()
    paddle_sync._heal(api.subscription(known), row(known) | {"status": "paused"}, report, later())
    assert report.drifted == 0


def test_a_subscription_that_paddle_does_not_know_is_reported(world: World, known: str) -> None:  # P5
    for number, status in enumerate(["active", "past_due", "canceled"]):
        stray = Subscription.objects.get(id=known)
        stray.id, stray.status = f"sub_01k{number:023}", status
        stray.save(force_insert=True)
    report = sync(later())
    assert report.missing == [f"sub_01k{0:023}", f"sub_01k{1:023}"]
    assert "Live here, unknown to Paddle (2): " in str(report)


def test_a_subscription_that_the_list_left_out_is_asked_for(
    world: World, known: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.cancel(known)
    lose_the_events()
    monkeypatch.setattr(api, "subscriptions", lambda: iter([]))
    assert sync(later()).healed == [known]


def test_a_subscription_that_is_none_does_not_stop_the_others(
    world: World, known: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = api.subscription(known) | {"status": "paused"}
    Subscription.objects.update(snapshot_at=datetime(2026, 1, 1, tzinfo=UTC))
    monkeypatch.setattr(api, "subscriptions", lambda: iter([{"id": "sub_strange"}, {}, real]))
    report = sync(later())
    assert (report.unreadable, report.healed) == (["sub_strange", "None"], [known])


def test_paddle_being_down_is_a_fault_of_the_report(world: World, known: str) -> None:
    world.faults.add("closed", path="/subscriptions", times=3)
    report = sync(later())
    assert report.fault
    assert (report.fault.code, report.compared) == ("unreachable", 0)


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("sync_paddle", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_reports_what_it_did(world: World, subscribed: str) -> None:  # P5
    said = command()
    count = PaddleEvent.objects.count()
    assert said == f"Events read: {count}, new: {count}.\nSubscriptions compared: 1.\n"
    assert command("--check")


def test_the_command_fails_a_check_when_something_differed(
    world: World, known: str, capsys: pytest.CaptureFixture[str]
) -> None:  # P5
    wrong = {"snapshot_at": datetime(2026, 1, 1, tzinfo=UTC), "status": "paused"}
    Subscription.objects.update(**wrong)
    assert f"Healed (1): {known}" in command()
    Subscription.objects.update(**wrong)
    with pytest.raises(CommandError, match="1 differed") as failed:
        command("--check")
    assert failed.value.returncode == 1
    command("--check")


def test_the_command_fails_when_paddle_does(world: World, known: str) -> None:
    world.faults.add("error", path="/events", times=3)
    with pytest.raises(CommandError, match="Run this again"):
        command()
