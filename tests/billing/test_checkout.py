"""Selling beside a Paddle that fails: a sentence for the customer, and nothing charged or given twice."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.utils import timezone
from pytest_django import Settings

from billing import checkout, subscriptions
from billing.checkout import PurchaseState
from billing.models import Customer, PlanPrice, Purchase, Subscription, Transaction
from billing.paddle import api, inbox, snapshots
from billing.paddle.api import PaddleFault
from billing.refusals import ChangeRefused, PurchaseRefused
from billing.simulator.schemas.transactions import Transaction as PaddleTransaction
from credits.models import Grant
from sidekick.accounts.models import User
from sidekick.serving import shares
from sidekick.serving.shares import EXTERNAL_SERVICES
from tests.billing import store as stores
from tests.billing.store import Store, price
from tests.credits.books import assert_books_balance, at_once, period

pytestmark = pytest.mark.django_db
TOKEN = uuid.UUID(int=7)
FAULTS = ["closed", "unanswered", "slow", "error", "html", "bad_gateway"]
A_WHILE = timedelta(seconds=91)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    settings.PADDLE_READ_SECONDS = settings.PADDLE_WRITE_SECONDS = 1
    with stores.opened(settings) as opened:
        yield opened


@pytest.fixture
def pro(store: Store, alice: User) -> str:
    return store.subscribe(alice, "pro")


@pytest.fixture
def only_one_waits(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """This thread serves pages, in a process where one may wait for Paddle at once."""
    settings.WEB_THREADS = 1
    monkeypatch.setattr(shares._thread, "serves_pages", True, raising=False)


def begin(account: User, quantity: int = 137, token: uuid.UUID = TOKEN, after: timedelta = timedelta()) -> Purchase:
    return checkout.begin(account, price("pro", "credit"), quantity, token=token, now=timezone.now() + after)


def bought(account: User) -> Decimal:
    return sum(Grant.objects.filter(account=account, kind=3).values_list("remaining", flat=True), Decimal(0))


def transactions(store: Store, account: User) -> list[PaddleTransaction]:
    """Returns the transactions for credits that Paddle has of this account."""
    listed = store.world.state.transactions.rows()
    return [one for one in listed if (one["custom_data"] or {}).get("kind") == "credits"]


def test_the_same_form_sent_again_opens_one_checkout(store: Store, pro: str, alice: User) -> None:  # B4
    first, again = begin(alice), begin(alice)
    assert first == again
    assert len(transactions(store, alice)) == 1
    assert checkout.purchase_state(again) == PurchaseState.READY


def test_a_changed_form_is_another_purchase(store: Store, pro: str, alice: User) -> None:  # B4
    assert begin(alice, 137) != begin(alice, 50)
    assert begin(alice, 137) != begin(alice, 137, uuid.uuid4())


@pytest.mark.django_db(transaction=True)
def test_eight_clicks_at_once_open_one_checkout(store: Store, alice: User) -> None:  # B4
    store.subscribe(alice, "pro")
    opened = at_once([lambda: begin(alice)] * 8)
    assert len({purchase.id for purchase in opened}) == 1
    assert len(transactions(store, alice)) == 1


def test_price_and_quantity_are_ours_and_credits_come_with_the_event(store: Store, pro: str, alice: User) -> None:  # B5
    purchase = begin(alice)
    [made] = transactions(store, alice)
    assert made["items"][0]["quantity"] == 137
    assert made["custom_data"] == {"account_id": str(alice.id), "purchase_id": str(purchase.id), "kind": "credits"}
    store.world.pay(purchase.transaction_id)
    assert bought(alice) == 0
    store.deliver()
    assert bought(alice) == 137
    assert (checkout.purchase_state(purchase), checkout.given(purchase)) == (PurchaseState.DONE, 137)
    assert_books_balance()


@pytest.mark.parametrize("quantity", [0, -1, 301, 6, 1])
def test_what_can_not_be_charged_is_refused_before_paddle_hears_of_it(
    store: Store, pro: str, alice: User, quantity: int
) -> None:  # B4
    with pytest.raises(PurchaseRefused, match=r"Choose between 1 and 300|\$0.70: choose 7"):
        begin(alice, quantity)
    assert not Purchase.objects.filter(price__interval="credit").exists()


def test_the_minimum_is_a_setting(store: Store, pro: str, alice: User, settings: Settings) -> None:  # B4
    settings.PADDLE_MINIMUM_CHARGE = 200
    with pytest.raises(PurchaseRefused, match=r"\$2: choose 20"):
        begin(alice, 19)


def test_only_pro_buys_credits(store: Store, alice: User) -> None:  # B4
    with pytest.raises(PurchaseRefused, match="come with Pro"):
        begin(alice)
    store.subscribe(alice, "starter")
    with pytest.raises(PurchaseRefused, match="come with Pro"):
        begin(alice)


def test_who_has_a_plan_buys_no_second_one(store: Store, pro: str, alice: User) -> None:  # B6
    with pytest.raises(PurchaseRefused, match="a plan already"):
        checkout.begin(alice, price("starter"), 1, token=TOKEN)


def test_while_a_plan_that_was_paid_is_on_its_way_no_second_one_is_sold(store: Store, alice: User) -> None:  # B6
    first = checkout.begin(alice, price("pro"), 1, token=TOKEN)
    store.world.pay(first.transaction_id)
    for body in api.events_after(""):
        if body["event_type"] == "transaction.paid":
            inbox.receive(json.dumps(body).encode())
    assert checkout.purchase_state(first) == PurchaseState.PAID
    with pytest.raises(PurchaseRefused, match="being processed"):
        checkout.begin(alice, price("starter"), 1, token=uuid.uuid4())


@pytest.mark.parametrize(
    ("events_told", "hours", "refused"),
    [
        (["transaction.completed"], 0, True),
        (["transaction.completed"], 23, True),
        (["transaction.completed"], 25, False),
        (["transaction.completed", "subscription.created", "subscription.canceled"], 0, False),
    ],
    ids=["now", "within a day", "a day later", "once its subscription is known"],
)
def test_a_plan_whose_subscription_is_not_here_yet_is_on_its_way_for_a_day(
    store: Store, alice: User, events_told: list[str], hours: int, refused: bool
) -> None:  # B6
    with time_machine.travel(timezone.now() - timedelta(days=3), tick=True):
        first = checkout.begin(alice, price("pro"), 1, token=TOKEN)
    store.world.pay(first.transaction_id)
    store.world.cancel_now(store.world.state.subscriptions.rows()[0]["id"])
    for body in api.events_after(""):
        if body["event_type"] in events_told:
            inbox.receive(json.dumps(body).encode())
    assert Transaction.objects.get().status == "completed"
    assert subscriptions.state_of(alice).subscription is None
    with time_machine.travel(timezone.now() + timedelta(hours=hours), tick=True):
        if refused:
            with pytest.raises(PurchaseRefused, match="being processed"):
                checkout.begin(alice, price("starter"), 1, token=uuid.uuid4())
        else:
            assert checkout.begin(alice, price("starter"), 1, token=uuid.uuid4()).transaction_id


def test_a_buyers_own_checkout_is_never_taken_for_the_purchase_it_names(store: Store, pro: str, alice: User) -> None:
    # B10
    store.world.faults.add("closed", method="POST", path="/transactions")
    with pytest.raises(PaddleFault):
        begin(alice)
    purchase = Purchase.objects.get(price__interval="credit")
    with store.world.changing() as state:
        opened = state.transactions.rows()[0]
        opened.update({"custom_data": {"purchase_id": str(purchase.id)}, "origin": "web"})
    checkout.look_again(purchase, now=timezone.now() + A_WHILE)
    purchase.refresh_from_db()
    assert purchase.transaction_id == ""


def test_what_a_period_that_is_not_paid_yet_was_before_says_nothing_about_its_price(
    store: Store, alice: User
) -> None:  # B6 M9
    subscription = store.subscribe(alice, "pro")
    subscriptions.change(alice, price("starter"))
    store.deliver()
    store.world.renew(subscription)
    for body in api.events_after(store.cursor):
        if body["event_type"].startswith("subscription."):
            inbox.receive(json.dumps(body).encode())
    Subscription.objects.update(period_starts_at=period(alice).paid_until)
    with pytest.raises(ChangeRefused, match="being processed"):
        subscriptions.change(alice, price("pro"))


def test_after_a_chargeback_neither_credits_nor_a_plan_can_be_bought(store: Store, pro: str, alice: User) -> None:
    # P4
    purchase = store.buy(alice, "credits", 100)
    store.world.charge_back(purchase.transaction_id)
    store.deliver()
    assert bought(alice) == 0
    with pytest.raises(PurchaseRefused, match="disputed"):
        begin(alice)
    store.world.cancel_now(pro)
    store.deliver()
    with pytest.raises(PurchaseRefused, match="disputed"):
        checkout.begin(alice, price("starter"), 1, token=uuid.uuid4())
    assert_books_balance()


def test_when_a_chargeback_is_reversed_credits_come_back_and_can_be_bought(
    store: Store, pro: str, alice: User
) -> None:  # P4
    purchase = store.buy(alice, "credits", 100)
    disputed = store.world.charge_back(purchase.transaction_id)
    store.deliver()
    store.world.reverse(disputed["id"])
    store.deliver()
    assert bought(alice) == 100
    assert begin(alice).transaction_id
    assert_books_balance()


@pytest.mark.parametrize("fault", [*FAULTS, "too_many_requests"])
def test_when_paddle_fails_nothing_is_charged_and_a_second_try_finds_what_was_made(
    store: Store, pro: str, alice: User, fault: str
) -> None:  # B4 B5
    store.world.faults.add(fault, method="POST", path="/transactions", seconds=3)
    with pytest.raises(PaddleFault) as raised:
        begin(alice)
    assert str(raised.value).endswith(".")
    assert "http" not in str(raised.value).lower()
    purchase = begin(alice, after=A_WHILE)
    assert purchase.transaction_id
    store.world.pay(purchase.transaction_id)
    store.deliver()
    assert bought(alice) == 137
    assert len([one for one in transactions(store, alice) if one["status"] == "completed"]) == 1
    if fault == "unanswered":
        assert len(transactions(store, alice)) == 1
    assert_books_balance()


def test_soon_after_a_lost_answer_paddle_is_not_asked_anew(store: Store, pro: str, alice: User) -> None:  # B4
    store.world.faults.add("unanswered", method="POST", path="/transactions")
    with pytest.raises(PaddleFault):
        begin(alice)
    assert checkout.purchase_state(begin(alice)) == PurchaseState.OPENING
    assert len(transactions(store, alice)) == 1


def test_a_customer_who_was_turned_away_loses_nothing_and_need_not_wait(
    store: Store, pro: str, alice: User, only_one_waits: None
) -> None:  # B4 O6
    for tries in range(2):
        with EXTERNAL_SERVICES.place(), pytest.raises(PaddleFault) as raised:
            begin(alice)
        assert (raised.value.code, raised.value.unknown_outcome, raised.value.retry_after) == (
            "not_asked",
            False,
            10,
        )
        assert transactions(store, alice) == []
        assert Purchase.objects.filter(price__interval="credit", asked_at=None).count() == 1, tries
    assert begin(alice).transaction_id == begin(alice).transaction_id != ""
    assert len(transactions(store, alice)) == 1


def test_who_is_turned_away_after_a_lost_answer_still_finds_what_was_made(
    store: Store, pro: str, alice: User, only_one_waits: None
) -> None:  # B4 O6
    store.world.faults.add("unanswered", method="POST", path="/transactions")
    with pytest.raises(PaddleFault):
        begin(alice)
    with EXTERNAL_SERVICES.place(), pytest.raises(PaddleFault, match="slow right now"):
        begin(alice, after=A_WHILE)
    assert begin(alice, after=A_WHILE).transaction_id
    assert len(transactions(store, alice)) == 1


def test_an_answer_that_was_lost_is_found_by_looking_and_by_its_event(store: Store, pro: str, alice: User) -> None:
    # B5 P2
    store.world.faults.add("unanswered", method="POST", path="/transactions", times=2)
    for token in (TOKEN, uuid.uuid4()):
        with pytest.raises(PaddleFault):
            begin(alice, token=token)
    looked, told = Purchase.objects.filter(price__interval="credit").order_by("created_at")
    found = checkout.look_again(looked, now=timezone.now() + A_WHILE)
    assert checkout.purchase_state(found) == PurchaseState.READY
    store.deliver()
    told.refresh_from_db()
    assert checkout.purchase_state(told) == PurchaseState.READY
    assert told.transaction_id != found.transaction_id


def test_a_late_webhook_is_made_up_for_by_looking_and_changes_nothing_when_it_comes(
    store: Store, pro: str, alice: User
) -> None:  # B5
    purchase = begin(alice)
    store.world.pay(purchase.transaction_id)
    assert checkout.purchase_state(purchase) == PurchaseState.READY
    checkout.look_again(purchase, now=timezone.now() + A_WHILE)
    assert (checkout.purchase_state(purchase), bought(alice)) == (PurchaseState.DONE, 137)
    store.deliver()
    assert bought(alice) == 137
    assert_books_balance()


def test_looking_is_bounded_and_paddles_fault_is_no_fault_of_the_page(store: Store, pro: str, alice: User) -> None:
    purchase = begin(alice)  # B5
    store.world.pay(purchase.transaction_id)
    now = timezone.now()
    store.world.faults.add("error", method="GET", path="/transactions", times=3)
    checkout.look_again(purchase, now=now + A_WHILE)
    checkout.look_again(purchase, now=now + A_WHILE + timedelta(seconds=9))
    assert checkout.purchase_state(purchase) == PurchaseState.READY
    checkout.look_again(purchase, now=now + A_WHILE + timedelta(seconds=11))
    assert checkout.purchase_state(purchase) == PurchaseState.DONE


def test_a_closed_checkout_leaves_nothing_behind(store: Store, pro: str, alice: User) -> None:  # B4
    begin(alice)
    store.deliver()
    assert bought(alice) == 0
    assert not Transaction.objects.waiting().exists()
    assert_books_balance()


def test_the_customer_at_paddle_is_made_once_and_never_taken_by_email_alone(
    store: Store, alice: User, charlie: User
) -> None:  # B10
    first = checkout.begin(alice, price("starter"), 1, token=TOKEN)
    again = checkout.begin(alice, price("pro"), 1, token=TOKEN)
    assert first.transaction_id != again.transaction_id
    customer = Customer.objects.get(account=alice)
    assert {one["customer_id"] for one in store.world.state.transactions.rows()} == {customer.id}
    # Somebody paid Paddle with charlie's address, elsewhere: that customer is not taken for charlie.
    assert api.customer_of(alice.id, email="charlie@example.com", name="") != customer.id
    strangers = checkout.begin(charlie, price("starter"), 1, token=TOKEN)
    assert store.world.state.transactions.get(strangers.transaction_id)["customer_id"] is None
    assert not Customer.objects.filter(account=charlie).exists()


def test_what_is_not_set_up_is_not_for_sale(store: Store, pro: str, alice: User) -> None:  # B4
    PlanPrice.objects.filter(interval="credit").update(paddle_price_id="")
    with pytest.raises(PurchaseRefused, match="later"):
        begin(alice)


@pytest.mark.parametrize("fault", FAULTS)
def test_cancelling_beside_a_failing_paddle_either_is_done_or_changes_nothing(
    store: Store, pro: str, alice: User, fault: str
) -> None:  # B2 B3
    store.world.faults.add(fault, method="POST", path="/subscriptions", seconds=3)
    try:
        subscriptions.cancel(alice)
    except PaddleFault:
        subscriptions.cancel(alice)
    state = subscriptions.state_of(alice)
    assert state.ends_at
    assert state.may_undo
    subscriptions.undo_scheduled_change(alice)
    store.deliver()
    assert subscriptions.state_of(alice).ends_at is None
    assert subscriptions.state_of(alice).renews_at


@pytest.mark.parametrize("fault", FAULTS)
def test_an_upgrade_beside_a_failing_paddle_is_charged_once(store: Store, alice: User, fault: str) -> None:  # B6 M9
    subscription = store.subscribe(alice, "starter")
    store.world.faults.add(fault, method="PATCH", path="/subscriptions", seconds=3)
    try:
        subscriptions.change(alice, price("pro"))
    except PaddleFault:
        subscriptions.change(alice, price("pro"))
    store.deliver()
    changes = [one for one in store.world.state.transactions.rows() if one["origin"] == "subscription_update"]
    assert [one["status"] for one in changes] == ["completed"]
    assert subscriptions.state_of(alice).plan.slug == "pro"
    assert store.world.state.subscriptions.get(subscription)["items"][0]["price"]["id"] == price("pro").paddle_price_id
    assert_books_balance()


def test_an_upgrade_adds_credits_and_a_downgrade_waits_for_the_renewal(store: Store, alice: User) -> None:  # B6 M9
    subscription = store.subscribe(alice, "starter")
    subscriptions.change(alice, price("pro"))
    store.deliver()
    grown = period(alice)
    assert grown.plan_id == "pro"
    assert Decimal(999) < grown.allocation <= 1000
    subscriptions.change(alice, price("starter"))
    store.deliver()
    state = subscriptions.state_of(alice)
    assert (state.plan.slug, state.next_plan and state.next_plan.slug) == ("pro", "starter")
    subscriptions.change(alice, price("pro"))
    store.deliver()
    assert subscriptions.state_of(alice).next_plan is None
    subscriptions.change(alice, price("starter"))
    store.world.renew(subscription)
    store.deliver()
    assert (period(alice).plan_id, period(alice).allocation) == ("starter", 250)
    paid = [one for one in store.world.state.transactions.rows() if one["origin"] == "subscription_update"]
    assert [int(one["details"]["totals"]["grand_total"]) > 0 for one in paid] == [True]
    assert_books_balance()


def test_a_declined_upgrade_changes_nothing_and_says_so(store: Store, alice: User) -> None:  # B6
    subscription = store.subscribe(alice, "starter")
    store.world.fail_next_payment(subscription)
    with pytest.raises(PaddleFault, match="declined"):
        subscriptions.change(alice, price("pro"))
    store.deliver()
    assert subscriptions.state_of(alice).plan.slug == "starter"
    assert subscriptions.state_of(alice).next_plan is None
    assert_books_balance()


def test_previews_are_paddles_own(store: Store, alice: User) -> None:  # B6
    store.subscribe(alice, "starter")
    dearer = subscriptions.preview(alice, price("pro"))
    assert (dearer.action, dearer.currency) == ("charge", "USD")
    assert 0 < dearer.amount <= 2880
    with pytest.raises(ChangeRefused, match="on Starter already"):
        subscriptions.preview(alice, price("starter"))


def test_a_plan_whose_payment_is_on_its_way_can_not_be_changed(store: Store, alice: User) -> None:  # B6
    purchase = checkout.begin(alice, price("starter"), 1, token=TOKEN)
    store.world.pay(purchase.transaction_id)
    for body in list(api.events_after("")):
        if body["event_type"].startswith("subscription."):
            snapshots.upsert_from_api(body["data"] | {"updated_at": body["data"]["updated_at"]})
    with pytest.raises(ChangeRefused):
        subscriptions.change(alice, price("pro"))


def test_month_to_year_begins_a_new_period_and_back_is_refused(store: Store, alice: User) -> None:  # B6 M7
    PlanPrice.objects.create(plan_id="pro", interval="year", amount=39000)
    from billing.paddle import setup

    setup.set_up(dry_run=False)
    store.subscribe(alice, "pro")
    subscriptions.change(alice, price("pro", "year"))
    store.deliver()
    opened = period(alice)
    assert opened.paid_until
    assert opened.paid_until - opened.starts_at > timedelta(days=360)
    assert opened.ends_at - opened.starts_at < timedelta(days=32)
    with pytest.raises(ChangeRefused, match="paid for a year"):
        subscriptions.change(alice, price("pro"))
    assert_books_balance()
