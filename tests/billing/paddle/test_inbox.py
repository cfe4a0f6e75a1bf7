"""What events leave behind: the newest snapshot of each entity and what follows, in any order, however often."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection
from django.db import transaction as database
from django.utils import timezone

from billing import fulfilment, tasks
from billing.models import Adjustment, Customer, PaddleEvent, Subscription, Transaction
from billing.paddle import inbox
from billing.paddle.schemas import Unreadable
from sidekick.accounts.models import User
from tests.billing.bodies import (
    ADJUSTMENT,
    APRIL,
    CREDIT,
    JULY,
    JUNE,
    LINE,
    MARCH,
    MAY,
    PRO,
    STARTER,
    SUBSCRIPTION,
    TRANSACTION,
    UPGRADED,
    Body,
    adjustment,
    buys,
    customer,
    event,
    line,
    moment,
    name,
    payment,
    receive,
    refund,
    renewal,
    snapshots,
    subscription,
    transaction,
    upgrade,
)
from tests.billing.paddle.test_recorded import killed_in_between, state_of
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


def test_a_failed_event_is_tried_again_with_growing_pauses() -> None:  # P3
    failed = take(event(1, "transaction.completed", transaction(details=None)))
    now, pauses = NOW, []
    for _ in range(14):
        assert failed.due_at
        assert inbox.apply_due(failed.due_at - timedelta(seconds=1)) == 0
        pauses.append(failed.due_at - now)
        now = failed.due_at
        assert inbox.apply_due(now) == 1
        failed.refresh_from_db()
        assert failed.state == "failed"
    assert [pause.total_seconds() / 60 for pause in pauses] == [min(2**turn, 1024) for turn in range(14)]
    assert failed.attempts == 15


def test_a_failed_event_heals_when_what_hurt_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:  # P3
    with monkeypatch.context() as patched:
        patched.setitem(inbox.ENTITIES, "transaction", inbox.ENTITIES["adjustment"])
        failed = take(event(1, "transaction.completed", transaction()), timezone.now() - timedelta(minutes=2))
        assert failed.state == "failed"
    tasks.apply_paddle_events(0)
    failed.refresh_from_db()
    assert (failed.state, failed.error, failed.attempts, failed.due_at) == ("applied", "", 2, None)
    assert Transaction.objects.get().status == "completed"


def test_an_event_that_was_overtaken_while_it_failed_ends_stale(monkeypatch: pytest.MonkeyPatch) -> None:  # P2 P3
    with monkeypatch.context() as patched:
        patched.setitem(inbox.ENTITIES, "transaction", inbox.ENTITIES["adjustment"])
        failed = take(event(1, "transaction.updated", transaction(status="paid"), MARCH))
    take(event(2, "transaction.completed", transaction(), APRIL))
    inbox.apply_due(NOW + timedelta(hours=1))
    failed.refresh_from_db()
    assert failed.state == "stale"
    assert Transaction.objects.get().status == "completed"


def test_an_event_that_ends_the_worker_does_not_keep_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:  # P3
    take(event(1, "transaction.completed", transaction(details=None)))
    take(event(2, "transaction.completed", transaction(details=None)), NOW + timedelta(seconds=1))
    later = NOW + timedelta(minutes=5)

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(inbox, "_take", kill)
        with pytest.raises(KeyboardInterrupt):
            inbox.apply_due(later)
    assert list(PaddleEvent.objects.due(later).values_list("event_id", flat=True)) == [f"evt_01k{2:023}"]
    assert PaddleEvent.objects.get(event_id=f"evt_01k{1:023}").attempts == 2
    assert inbox.apply_due(later) == 1


def test_an_event_that_was_stored_but_never_applied_is_picked_up() -> None:  # P3
    body = json.dumps(event(1, "transaction.completed", transaction()))
    PaddleEvent.objects.create(
        event_id=f"evt_01k{1:023}", event_type="transaction.completed", occurred_at=NOW, body=body, due_at=NOW
    )
    assert inbox.apply_due(NOW) == 1
    assert PaddleEvent.objects.get().state == "applied"
    assert Transaction.objects.exists()


def test_applying_again_is_as_good_as_once() -> None:  # P2 P3
    take(event(1, "transaction.updated", transaction(1), MARCH))
    take(event(2, "transaction.completed", transaction(2), APRIL))
    before = snapshots()
    for number in (2, 1, 1, 2):
        inbox.apply_again(f"evt_01k{number:023}")
    assert snapshots() == before
    assert list(PaddleEvent.objects.order_by("event_id").values_list("state", flat=True)) == ["stale", "applied"]


@pytest.mark.django_db(transaction=True)
def test_eight_workers_try_each_due_event_once(monkeypatch: pytest.MonkeyPatch) -> None:  # P3
    for number in range(20):
        take(event(number, "transaction.completed", transaction(details=None)))
    later, apply_one = NOW + timedelta(minutes=1), inbox._apply
    tried: list[str] = []

    def note_and_apply(event: PaddleEvent, now: datetime) -> None:
        tried.append(event.event_id)
        apply_one(event, now)

    monkeypatch.setattr(inbox, "_apply", note_and_apply)
    at_once([lambda: inbox.apply_due(later)] * 8)
    assert sorted(tried) == [f"evt_01k{number:023}" for number in range(20)]
    assert set(PaddleEvent.objects.values_list("attempts", flat=True)) == {2}


def test_an_event_that_cannot_even_be_committed_keeps_no_other_waiting(monkeypatch: pytest.MonkeyPatch) -> None:  # P3
    for number in (1, 2):
        take(event(number, "transaction.completed", transaction(details=None)))
    first, apply_stored = f"evt_01k{1:023}", inbox._apply_stored
    tried: list[str] = []

    def break_off(event_id: str, now: datetime, *, wait: bool = False) -> PaddleEvent | None:
        tried.append(event_id)
        if event_id == first:
            raise OperationalError("COMMIT")
        return apply_stored(event_id, now, wait=wait)

    monkeypatch.setattr(inbox, "_apply_stored", break_off)
    later = NOW + timedelta(minutes=1)
    assert inbox.apply_due(later) == 2
    assert sorted(tried) == [first, f"evt_01k{2:023}"]
    assert PaddleEvent.objects.get(event_id=first).due_at == later + timedelta(minutes=2)


@pytest.mark.django_db(transaction=True)
def test_a_worker_leaves_alone_what_another_is_applying() -> None:  # P3
    take(event(1, "transaction.completed", transaction(details=None)))
    name = f"evt_01k{1:023}"

    def another() -> PaddleEvent | None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        return inbox._apply_stored(name, NOW)

    with database.atomic():
        PaddleEvent.objects.select_for_update().get(event_id=name)
        assert at_once([another]) == [None]


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "lost"},
        {"state": "failed"},
        {"error": "why"},
        {"state": "applied", "due_at": None},
        {"state": "stale"},
        {"due_at": None},
    ],
    ids=str,
)
def test_the_database_refuses_an_inbox_that_contradicts_itself(wrong: dict[str, Any]) -> None:  # P3
    row = {"event_id": "evt_1", "event_type": "a.b", "occurred_at": NOW, "body": "{}"}
    PaddleEvent.objects.create(**row)
    with pytest.raises(IntegrityError), database.atomic():
        PaddleEvent.objects.create(**{**row, "event_id": "evt_2", **wrong})


# What Paddle's API told


def known() -> str:
    return Transaction.objects.values_list("status", flat=True).get()


def read(status: str, updated_at: str, **changes: object) -> Body:
    return transaction(status=status, updated_at=updated_at) | changes


def test_what_was_read_is_kept_by_when_it_was_so(alice: User) -> None:  # P5
    take(event(1, "transaction.updated", read("ready", APRIL), APRIL))
    assert inbox.learn(read("billed", MARCH), now=NOW) is False
    assert known() == "ready"
    assert inbox.learn(read("paid", MAY), now=NOW) is True
    assert known() == "paid"
    # An event on its way, older than what was read, changes nothing; a newer one does.
    assert take(event(2, "transaction.updated", read("billed", APRIL), APRIL)).state == "stale"
    assert take(event(3, "transaction.updated", read("past_due", MAY), MAY)).state == "applied"
    assert inbox.learn(read("canceled", MAY), now=NOW) is False
    assert known() == "past_due"


def test_what_was_read_is_newer_by_its_own_clock_though_its_event_was_told_later(alice: User) -> None:  # P5
    """An event says that it occurred a moment after the change it tells of."""
    take(event(1, "transaction.updated", read("ready", MARCH), MAY))
    assert inbox.learn(read("paid", APRIL), now=NOW) is True
    assert known() == "paid"
    assert take(event(2, "transaction.updated", read("billed", MARCH), APRIL)).state == "stale"
    assert take(event(3, "transaction.updated", read("completed", MAY), JUNE)).state == "applied"


def test_what_was_known_already_is_no_news_and_turns_nothing_back(alice: User) -> None:  # P5
    take(event(1, "transaction.completed", transaction(), APRIL))
    before = snapshots()
    assert inbox.learn(read("completed", MAY, checkout={"url": None}), now=NOW) is False
    assert snapshots() == before


@pytest.mark.usefixtures("sold")
def test_what_was_read_gives_what_was_paid_for_and_the_event_after_it_nothing_more(alice: User) -> None:  # P5 B5
    buys(alice)
    assert inbox.learn(read("completed", APRIL), now=NOW) is True
    assert take(event(1, "transaction.completed", transaction(), MAY)).state == "applied"
    assert inbox.learn(read("completed", MAY), now=NOW) is False
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
    with pytest.raises(Unreadable):
        inbox.learn(entity, now=NOW)
    assert snapshots() == {}


def test_every_kind_of_thing_can_be_learnt(alice: User) -> None:  # P5
    for entity in (subscription(), adjustment(), customer(alice), transaction()):
        assert inbox.learn(entity | {"updated_at": MAY}, now=NOW) is True
    assert Customer.objects.get().account == alice
    assert len(snapshots()) == 3


@pytest.mark.django_db(transaction=True)
def test_a_payment_that_is_read_and_told_of_at_once_is_given_once(sold: None, alice: User) -> None:  # P5 B5
    buys(alice)
    raw = json.dumps(event(1, "transaction.completed", transaction(), MAY)).encode()

    def learn() -> bool:
        return inbox.learn(read("completed", MAY), now=NOW)

    def hear() -> bool:
        return inbox.receive(raw, now=NOW)[1]

    assert sum(at_once([learn, hear] * 10)) <= 2
    assert PaddleEvent.objects.get().state == "applied"
    assert ("purchased", 137) in left(alice)
    assert_books_balance()


# Whole lives

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
            fulfilment.settle_due(AFTERWARDS)


def end_of(account: User, bodies: list[bytes], dice: random.Random | None) -> dict[str, Any]:
    """Where it ends in this order, and gone again; without dice in the order it happened."""
    with database.atomic():
        if dice:
            deliver(bodies, dice)
        for body in [] if dice else bodies:
            receive(body, AFTERWARDS)
        for minute in range(2):
            fulfilment.settle_due(AFTERWARDS + timedelta(minutes=minute))
            fulfilment.end_plans(AFTERWARDS + timedelta(minutes=minute))
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
