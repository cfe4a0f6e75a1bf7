"""The newest snapshot of each entity, and what is read of it, whatever order it is heard of in."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from billing.models import Adjustment, Customer, PaddleEvent, Subscription, Transaction
from billing.paddle import inbox, snapshots
from billing.paddle.schemas import MalformedData
from sidekick.accounts.models import User
from tests.billing.bodies import (
    ADJUSTMENT,
    APRIL,
    CREDIT,
    JUNE,
    LINE,
    MARCH,
    MAY,
    PRO,
    STARTER,
    SUBSCRIPTION,
    TRANSACTION,
    Body,
    adjustment,
    buys,
    customer,
    event,
    moment,
    receive,
    stored_snapshots,
    subscription,
    transaction,
)
from tests.credits.books import assert_books_balance, at_once, left

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 5, 10, 12, 7, 30, tzinfo=UTC)


def take(body: Body, now: datetime = NOW) -> PaddleEvent:
    return receive(body, now)


def test_a_subscription_is_kept_with_what_we_read() -> None:  # B1
    data = subscription(PRO, scheduled_change={"action": "cancel", "effective_at": APRIL, "resume_at": None})
    take(event(1, "subscription.updated", data, MARCH))
    kept = Subscription.objects.get(id=SUBSCRIPTION)
    assert (kept.status, kept.price_id, kept.currency) == ("active", PRO, "USD")
    assert (kept.period_starts_at, kept.period_ends_at, kept.next_billed_at) == (
        moment(MARCH),
        moment(APRIL),
        moment(APRIL),
    )
    assert (kept.change_action, kept.change_at, kept.change_resume_at) == ("cancel", moment(APRIL), None)
    assert (kept.snapshot_at, kept.data) == (moment(MARCH), data)


def test_a_paused_subscription_has_no_period_and_one_undone_no_change() -> None:  # B1 B3
    resume = {"action": "resume", "effective_at": MAY, "resume_at": None}
    paused = subscription(status="paused", current_billing_period=None, scheduled_change=resume, paused_at=APRIL)
    take(event(1, "subscription.paused", paused, APRIL))
    kept = Subscription.objects.get()
    assert (kept.status, kept.period_starts_at, kept.period_ends_at) == ("paused", None, None)
    assert (kept.change_action, kept.change_at, kept.paused_at) == ("resume", moment(MAY), moment(APRIL))
    take(event(2, "subscription.resumed", subscription(), MAY))
    kept.refresh_from_db()
    assert (kept.status, kept.change_action, kept.change_at, kept.paused_at) == ("active", "", None, None)
    assert kept.period_ends_at == moment(APRIL)


def test_the_plan_is_the_recurring_price_whatever_stands_beside_it() -> None:  # B1
    def item(price: str, **changes: object) -> Body:
        return {"price": {"id": price}, "quantity": 1, "status": "active", "recurring": True, **changes}

    items = [item(CREDIT, recurring=False), item(STARTER, status="inactive"), item(PRO)]
    take(event(1, "subscription.updated", subscription(items=items)))
    assert Subscription.objects.get().price_id == PRO


def test_a_transaction_is_kept_with_totals_and_lines_in_minor_units() -> None:  # B8
    take(event(1, "transaction.completed", transaction(137)))
    kept = Transaction.objects.get(id=TRANSACTION)
    assert (kept.status, kept.origin, kept.invoice_number) == ("completed", "api", "74410-10018")
    assert (kept.total, kept.tax, kept.grand_total, kept.currency) == (3729, 304, 3729, "USD")
    assert kept.line_items == [
        {"id": LINE, "price_id": CREDIT, "quantity": 137, "total": 3729, "tax": 304, "prorated": False}
    ]


def test_prorated_lines_may_be_negative() -> None:  # B6
    take(event(1, "transaction.completed", transaction(-1)))
    [line] = Transaction.objects.get().line_items
    assert (line["quantity"], line["total"]) == (-1, -27)


def test_a_draft_without_customer_is_kept() -> None:
    take(event(1, "transaction.created", transaction(customer_id=None, invoice_number=None, status="draft")))
    assert Transaction.objects.get().customer_id == ""


def test_an_adjustment_is_kept_with_the_money_per_line() -> None:  # P4
    take(event(1, "adjustment.created", adjustment("pending_approval"), APRIL))
    take(event(2, "adjustment.updated", adjustment("approved"), MAY))
    kept = Adjustment.objects.get(id=ADJUSTMENT)
    assert (kept.action, kept.status, kept.total, kept.transaction_id) == ("refund", "approved", 1089, TRANSACTION)
    assert kept.items == [{"line_item_id": LINE, "type": "partial", "total": 1089}]


def test_words_and_fields_that_paddle_adds_are_no_errors() -> None:  # P2
    change = {"action": "teleport", "effective_at": APRIL, "resume_at": None, "by": {"name": "someone"}}
    bodies = [
        event(1, "subscription.updated", subscription(status="dormant", scheduled_change=change, mood="good")),
        event(2, "transaction.vanished", transaction(status="vanished", origin="elsewhere", weather={"a": [1]})),
        event(3, "adjustment.created", adjustment("pondered", action="chargeback_warning_reverse", type="odd")),
    ]
    assert [take(body).state for body in bodies] == ["applied"] * 3
    assert Subscription.objects.get().status == "dormant"
    assert Transaction.objects.get().status == "vanished"
    assert Adjustment.objects.get().action == "chargeback_warning_reverse"


def test_what_happened_earlier_never_replaces_what_happened_later() -> None:  # P2
    take(event(2, "transaction.completed", transaction(), "2026-03-18T14:05:49.9Z"))
    # As strings these two compare the other way round.
    late = take(event(1, "transaction.updated", transaction(status="paid"), "2026-03-18T14:05:49Z"))
    assert (late.state, late.applied_at, late.due_at) == ("stale", None, None)
    assert Transaction.objects.get().status == "completed"


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_two_events_of_one_microsecond_end_the_same_in_either_order(order: tuple[int, int]) -> None:  # P2
    for number in order:
        take(event(number, "transaction.updated", transaction(status=f"status {number}"), APRIL))
    assert Transaction.objects.get().status == "status 2"


# Entities read from Paddle's API


def known() -> str:
    return Transaction.objects.values_list("status", flat=True).get()


def read(status: str, updated_at: str, **changes: object) -> Body:
    return transaction(status=status, updated_at=updated_at) | changes


def test_what_was_read_is_kept_by_when_it_was_so(alice: User) -> None:  # P5
    take(event(1, "transaction.updated", read("ready", APRIL), APRIL))
    assert snapshots.upsert_from_api(read("billed", MARCH), now=NOW) is False
    assert known() == "ready"
    assert snapshots.upsert_from_api(read("paid", MAY), now=NOW) is True
    assert known() == "paid"
    # An event on its way, older than what was read, changes nothing; a newer one does.
    assert take(event(2, "transaction.updated", read("billed", APRIL), APRIL)).state == "stale"
    assert take(event(3, "transaction.updated", read("past_due", MAY), MAY)).state == "applied"
    assert snapshots.upsert_from_api(read("canceled", MAY), now=NOW) is False
    assert known() == "past_due"


def test_what_was_read_is_newer_by_its_own_clock_though_its_event_was_told_later(alice: User) -> None:  # P5
    """An event says that it occurred a moment after the change it tells of."""
    take(event(1, "transaction.updated", read("ready", MARCH), MAY))
    assert snapshots.upsert_from_api(read("paid", APRIL), now=NOW) is True
    assert known() == "paid"
    assert take(event(2, "transaction.updated", read("billed", MARCH), APRIL)).state == "stale"
    assert take(event(3, "transaction.updated", read("completed", MAY), JUNE)).state == "applied"


def test_what_was_known_already_is_no_news_and_turns_nothing_back(alice: User) -> None:  # P5
    take(event(1, "transaction.completed", transaction(), APRIL))
    before = stored_snapshots()
    assert snapshots.upsert_from_api(read("completed", MAY, checkout={"url": None}), now=NOW) is False
    assert stored_snapshots() == before


@pytest.mark.usefixtures("sold")
def test_what_was_read_gives_what_was_paid_for_and_the_event_after_it_nothing_more(alice: User) -> None:  # P5 B5
    buys(alice)
    assert snapshots.upsert_from_api(read("completed", APRIL), now=NOW) is True
    assert take(event(1, "transaction.completed", transaction(), MAY)).state == "applied"
    assert snapshots.upsert_from_api(read("completed", MAY), now=NOW) is False
    assert ("purchased", 137) in left(alice)
    assert_books_balance()


@pytest.mark.parametrize(
    "entity",
    [
        {},
        {"id": None},
        {"id": "pri_01kaaaaaaaaaaaaaaaaaaaaaaa", "updated_at": MAY},
        {"id": ["txn_1"], "updated_at": MAY},
        transaction(),
        transaction(updated_at="yesterday"),
        transaction(updated_at=MAY, details=None),
        subscription(updated_at=MAY, items=[]),
    ],
    ids=lambda entity: str(entity.get("id")),
)
def test_what_was_read_and_is_nothing_that_paddle_documents_is_refused(entity: Body) -> None:  # P5
    with pytest.raises(MalformedData):
        snapshots.upsert_from_api(entity, now=NOW)
    assert stored_snapshots() == {}


def test_every_kind_of_thing_can_be_learnt(alice: User) -> None:  # P5
    for entity in (subscription(), adjustment(), customer(alice), transaction()):
        assert snapshots.upsert_from_api(entity | {"updated_at": MAY}, now=NOW) is True
    assert Customer.objects.get().account == alice
    assert len(stored_snapshots()) == 3


@pytest.mark.django_db(transaction=True)
def test_a_payment_that_is_read_and_told_of_at_once_is_given_once(sold: None, alice: User) -> None:  # P5 B5
    buys(alice)
    raw = json.dumps(event(1, "transaction.completed", transaction(), MAY)).encode()

    def learn() -> bool:
        return snapshots.upsert_from_api(read("completed", MAY), now=NOW)

    def hear() -> bool:
        return inbox.receive(raw, now=NOW)[1]

    assert sum(at_once([learn, hear] * 10)) <= 2
    assert PaddleEvent.objects.get().state == "applied"
    assert ("purchased", 137) in left(alice)
    assert_books_balance()
