"""Giving credits, taking them back, and the order in which they are spent."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from credits.ledger import grants, periods
from credits.ledger.locking import locked
from credits.models import Grant, LedgerEntry, ModelPrice, Plan, Wallet
from sidekick.accounts.models import User
from tests.credits.books import NOW, assert_books_balance, debt, history, left, period, remaining, use

pytestmark = pytest.mark.django_db
COURTESY, PURCHASED = Grant.Kind.COURTESY, Grant.Kind.PURCHASED
DAY = timedelta(days=1)


def give(
    account: User, credits: str | int, kind: Grant.Kind = PURCHASED, *, key: str = "txn_1", days: int | None = None
) -> Grant:
    expires_at = None if days is None else NOW + days * DAY
    return grants.grant(account.id, Decimal(credits), kind=kind, source_key=key, expires_at=expires_at, now=NOW)


def take(given: Grant, credits: str | int, *, key: str = "adj_1", days: int = 0) -> LedgerEntry:
    return grants.void(given, Decimal(credits), source_key=key, reason="refund", now=NOW + days * DAY)


def pay(account: User, *, months: int = 1, key: str = "txn_pro") -> None:
    start = NOW.replace(month=NOW.month + months - 1)
    pro = Plan.objects.get(slug="pro")
    end = NOW.replace(month=NOW.month + months)
    periods.open_paid(account.id, plan=pro, starts_at=start, ends_at=end, source_key=key, now=start)


def test_credits_are_spent_courtesy_first_then_rollover_allocation_and_bought(alice: User) -> None:  # M3
    give(alice, 5, key="old")
    pay(alice, months=1)
    pay(alice, months=2, key="txn_2")
    later = NOW.replace(month=6)
    grants.grant(alice.id, Decimal(7), kind=PURCHASED, source_key="new", now=later)
    grants.grant(alice.id, Decimal(3), kind=COURTESY, source_key="sorry", now=later)
    order = [("courtesy", 3), ("rollover", 1000), ("allocation", 1000), ("purchased", 5), ("purchased", 7)]
    assert left(alice) == order
    while order:
        # To the last half credit of each, then over its edge into the next.
        kind, amount = order.pop(0)
        use(alice, Decimal(amount) - Decimal("0.5"), now=later)
        later += timedelta(seconds=1)
        assert left(alice) == [(kind, Decimal("0.5")), *order]
        use(alice, Decimal("0.5"), now=later)
        later += timedelta(seconds=1)
        assert left(alice) == order
    opened = period(alice)
    assert (opened.courtesy_used, opened.plan_used, opened.additional_used, opened.used) == (3, 2000, 12, 2015)
    assert_books_balance()


def test_one_request_may_cross_every_kind(alice: User) -> None:  # M3
    pay(alice)
    give(alice, 5)
    give(alice, 3, COURTESY, key="sorry")
    use(alice, 1009)
    opened = period(alice)
    assert (opened.courtesy_used, opened.plan_used, opened.additional_used, opened.used) == (3, 1000, 5, 1009)
    assert (left(alice), debt(alice)) == ([], 1)
    assert_books_balance()


def test_of_one_kind_what_expires_first_goes_first_and_then_the_oldest(alice: User) -> None:  # M3
    for key, credits, days in [("a", 1, None), ("b", 2, 20), ("c", 4, 10), ("d", 8, None), ("e", 16, 10)]:
        give(alice, credits, COURTESY, key=key, days=days)
    assert [amount for kind, amount in left(alice) if kind == "courtesy"] == [4, 16, 2, 1, 8]
    use(alice, 5)
    assert [amount for kind, amount in left(alice) if kind == "courtesy"] == [15, 2, 1, 8]


def test_the_next_grant_pays_the_debt_first(alice: User) -> None:  # M5
    use(alice, 90)
    assert debt(alice) == 40
    assert give(alice, 30).remaining == 0
    assert (debt(alice), left(alice)) == (10, [])
    assert give(alice, 30, COURTESY, key="sorry").remaining == 20
    assert (debt(alice), left(alice)) == (0, [("courtesy", 20)])
    opened = period(alice)
    assert (opened.used, opened.plan_used, opened.additional_used, opened.courtesy_used) == (90, 50, 30, 10)
    assert_books_balance()


def test_the_same_source_gives_once(alice: User) -> None:  # B5
    first = give(alice, 137)
    assert give(alice, 137) == first
    assert history(alice) == [("allocation", 50), ("purchased", 137)]
    assert_books_balance()


def test_the_same_source_gives_once_even_after_it_was_spent_or_taken_back(alice: User) -> None:  # B5 P2
    first = give(alice, 137)
    use(alice, 187)
    assert give(alice, 137).remaining == 0
    take(first, 37)
    assert give(alice, 137) == first
    assert (remaining(alice), debt(alice)) == (0, 37)
    assert_books_balance()


@pytest.mark.parametrize(("credits", "kind"), [(138, PURCHASED), (137, COURTESY)])
def test_a_source_that_says_something_else_the_second_time_is_refused(
    alice: User, credits: int, kind: Grant.Kind
) -> None:
    give(alice, 137)
    with pytest.raises(grants.SourceKeyReused):
        give(alice, credits, kind)
    assert left(alice) == [("allocation", 50), ("purchased", 137)]
    assert_books_balance()


def test_a_payment_of_a_period_is_no_source_of_bought_credits(alice: User) -> None:
    pay(alice)
    with pytest.raises(grants.SourceKeyReused):
        give(alice, 1000, key="txn_pro")


@pytest.fixture
def indebted(alice: User) -> Iterator[User]:
    """Alice has used 10 credits more than Free gives, and her wallet is locked."""
    use(alice, 60)
    with locked([alice.id], NOW):
        yield alice


def test_who_holds_the_lock_gives_once_and_the_debt_is_paid(indebted: User) -> None:  # B5 M5
    terms: dict[str, Any] = {"kind": PURCHASED, "source_key": "txn_1", "now": NOW}
    first = grants.grant(indebted.id, Decimal(137), **terms)
    assert first.remaining == 127
    assert grants.grant(indebted.id, Decimal(137), **terms) == first
    with pytest.raises(grants.SourceKeyReused):
        grants.grant(indebted.id, Decimal(138), **terms)
    assert (remaining(indebted), debt(indebted)) == (127, 0)
    assert history(indebted) == [("allocation", 50), ("purchased", 137)]
    assert_books_balance()


def test_what_lapses_is_in_the_clocks_diary_at_once(indebted: User) -> None:  # M3
    terms: dict[str, Any] = {"kind": COURTESY, "now": NOW}
    grants.grant(indebted.id, Decimal(20), source_key="a", expires_at=NOW + 3 * DAY, **terms)
    assert Wallet.objects.get().due_at == NOW + 3 * DAY
    grants.grant(indebted.id, Decimal(20), source_key="b", expires_at=NOW + DAY, **terms)
    assert Wallet.objects.get().due_at == NOW + DAY
    periods.open_due([indebted.id], NOW + 2 * DAY)
    assert left(indebted) == [("courtesy", 10)]
    assert_books_balance()


def test_two_accounts_may_have_grants_of_the_same_source(alice: User, charlie: User) -> None:
    give(alice, 5)
    give(charlie, 6)
    assert (remaining(alice), remaining(charlie)) == (55, 56)


@pytest.mark.parametrize("credits", ["0", "-1", "0.0000001", "1.0000005"])
def test_amounts_that_cannot_be_given_are_refused(alice: User, credits: str) -> None:  # M6
    with pytest.raises(ValueError, match="can't be given"):
        give(alice, credits)
    given = give(alice, 5)
    with pytest.raises(ValueError, match="can't be taken back"):
        take(given, credits)
    assert remaining(alice) == 55


@pytest.mark.parametrize("kind", Grant.PLAN_KINDS)
def test_only_periods_give_allocations(alice: User, kind: Grant.Kind) -> None:
    with pytest.raises(ValueError, match="can't be given"):
        give(alice, 5, kind)


def test_bought_credits_never_expire(alice: User) -> None:  # M3
    with pytest.raises(IntegrityError, match="grant_purchased_never_expires"), transaction.atomic():
        give(alice, 5, days=9)
    assert not Grant.objects.exists()


def test_a_grant_to_nobody_is_refused(db: None) -> None:
    grants.grant(uuid.uuid4(), Decimal(5), kind=COURTESY, source_key="sorry", now=NOW)
    # Check the deferred constraints as a commit would, and leave none for the end of this test.
    with pytest.raises(IntegrityError):
        connection.check_constraints()
    transaction.set_rollback(True)


def test_credits_that_were_not_spent_are_taken_back(alice: User) -> None:  # P4
    given = give(alice, 137)
    entry = take(given, 37)
    assert (entry.kind, entry.amount, entry.grant, entry.reason) == ("voided", -37, given, "refund")
    given.refresh_from_db()
    assert (given.amount, given.remaining, given.withdrawn) == (137, 100, 37)
    assert_books_balance()


def test_spent_credits_that_are_taken_back_are_paid_by_the_others_in_their_order(alice: User) -> None:  # P4
    given = give(alice, 10, COURTESY, key="sorry")
    give(alice, 20)
    use(alice, 8)
    take(given, 10)
    # 2 were left; the 8 spent are drawn from the allocation now.
    assert left(alice) == [("allocation", 42), ("purchased", 20)]
    opened = period(alice)
    assert (opened.used, opened.courtesy_used, opened.plan_used) == (8, 0, 8)
    assert_books_balance()


def test_spent_credits_that_nothing_else_can_pay_become_a_debt(alice: User) -> None:  # P4 M5
    given = give(alice, 10)
    use(alice, 60)
    take(given, 4)
    assert (debt(alice), period(alice).additional_used) == (4, 6)
    give(alice, 5, key="txn_2")
    assert (debt(alice), left(alice), period(alice).additional_used) == (0, [("purchased", 1)], 10)
    assert_books_balance()


def test_credits_spent_in_an_earlier_period_can_be_taken_back(alice: User) -> None:  # P4
    given = give(alice, 10)
    use(alice, 60)
    later = NOW + 40 * DAY
    periods.open_due([alice.id], later)
    take(given, 10, days=40)
    opened = period(alice)
    assert (opened.additional_used, opened.plan_used, opened.used) == (-10, 10, 0)
    assert left(alice) == [("allocation", 40)]
    assert_books_balance()


def test_an_allocation_taken_back_shrinks_the_period_and_its_rollover(alice: User) -> None:  # P4 M8
    pay(alice)
    use(alice, 300)
    allocation = Grant.objects.get(kind=Grant.Kind.ALLOCATION)
    take(allocation, 900)
    opened = period(alice)
    assert (opened.allocation, opened.plan_used, debt(alice)) == (100, 100, 200)
    assert_books_balance()


def test_a_rollover_can_be_taken_back_like_an_allocation(alice: User) -> None:
    pay(alice, months=1)
    pay(alice, months=2, key="txn_2")
    grants.void(
        Grant.objects.get(kind=Grant.Kind.ROLLOVER), Decimal(400), source_key="adj", reason="", now=NOW + 32 * DAY
    )
    opened = period(alice)
    assert (opened.rollover, opened.allocation) == (600, 1000)
    assert left(alice) == [("rollover", 600), ("allocation", 1000)]
    assert_books_balance()


def test_no_more_is_taken_back_than_was_given(alice: User) -> None:
    given = give(alice, 10)
    take(given, 6)
    with pytest.raises(grants.NothingLeftToVoid):
        take(given, 5, key="adj_2")
    take(given, 4, key="adj_3")
    assert left(alice) == [("allocation", 50)]
    assert_books_balance()


def test_of_a_lapsed_grant_only_what_was_spent_is_taken_back(alice: User) -> None:
    given = give(alice, 10, COURTESY, key="sorry", days=1)
    use(alice, 4)
    with pytest.raises(grants.NothingLeftToVoid):
        take(given, 5, days=2)
    take(given, 4, days=2)
    assert left(alice) == [("allocation", 46)]
    assert history(alice) == [("allocation", 50), ("courtesy", 10), ("forfeited", -6), ("voided", -4)]
    assert_books_balance()


def test_nothing_of_a_closed_period_is_taken_back(alice: User) -> None:
    pay(alice, months=1)
    use(alice, 300)
    allocation = Grant.objects.get(kind=Grant.Kind.ALLOCATION)
    pay(alice, months=2, key="txn_2")
    for credits in (100, 1000):
        with pytest.raises(grants.NothingLeftToVoid):
            take(allocation, credits, days=32)
    assert remaining(alice) == 1700
    assert_books_balance()


def test_the_clock_closes_a_period_before_its_allocation_is_taken_back(alice: User) -> None:
    periods.open_due([alice.id], NOW)
    with pytest.raises(grants.NothingLeftToVoid):
        take(Grant.objects.get(), 10, days=40)
    assert_books_balance()


def test_the_same_refund_takes_back_once(alice: User) -> None:  # P2 P4
    given = give(alice, 10)
    entry = take(given, 6)
    assert take(given, 6) == entry
    assert take(given, 6, days=90) == entry
    assert Grant.objects.get(id=given.id).remaining == 4
    with pytest.raises(grants.SourceKeyReused):
        take(given, 4)
    with pytest.raises(grants.SourceKeyReused):
        take(give(alice, 10, key="txn_2"), 6)
    assert_books_balance()


def test_a_grant_object_read_long_ago_is_no_way_to_take_back_twice(alice: User) -> None:
    stale = give(alice, 10)
    take(stale, 10)
    assert stale.remaining == 10
    with pytest.raises(grants.NothingLeftToVoid):
        take(stale, 10, key="adj_2")


def give_back(given: Grant, credits: str | int, *, key: str = "rev_1", days: int = 0) -> LedgerEntry:
    return grants.restore(given, Decimal(credits), source_key=key, reason="reversed", now=NOW + days * DAY)


def test_credits_that_were_taken_back_can_be_restored(alice: User, charlie: User) -> None:  # P4
    given = give(alice, 137)
    take(given, 37)
    entry = grants.restore(given, Decimal(30), source_key="rev", reason="won", actor_id=charlie.id, now=NOW + DAY)
    assert (entry.kind, entry.amount, entry.grant, entry.period) == ("restored", 30, given, None)
    assert (entry.reason, entry.actor_id, entry.created_at) == ("won", charlie.id, NOW + DAY)
    given.refresh_from_db()
    assert (given.amount, given.remaining, given.withdrawn) == (137, 130, 7)
    assert grants.taken_back(given) == 7
    assert_books_balance()


def test_the_same_reversal_restores_once(alice: User) -> None:  # P2 P4
    given, other = give(alice, 137), give(alice, 9, key="txn_2")
    take(given, 37)
    take(other, 9, key="adj_2")
    entry = give_back(given, 10)
    assert give_back(given, 10) == entry
    assert give_back(given, 10, days=90) == entry
    for grant, credits in ((given, 11), (other, 10), (other, 9)):
        with pytest.raises(grants.SourceKeyReused):
            give_back(grant, credits)
    assert Grant.objects.get(id=given.id).remaining == 110
    assert_books_balance()


def test_no_more_is_restored_than_was_taken(alice: User) -> None:  # P4
    given = give(alice, 137)
    with pytest.raises(grants.NothingToRestore):
        give_back(given, 1)
    take(given, 37)
    with pytest.raises(grants.NothingToRestore):
        give_back(given, "37.000001")
    give_back(given, 30)
    with pytest.raises(grants.NothingToRestore):
        give_back(given, 8, key="rev_2")
    give_back(given, 7, key="rev_3")
    take(given, 137, key="adj_2")
    give_back(given, 137, key="rev_4")
    assert left(alice) == [("allocation", 50), ("purchased", 137)]
    assert_books_balance()


@pytest.mark.parametrize("credits", ["0", "-1", "0.0000001"])
def test_amounts_that_cannot_be_restored_are_refused(alice: User, credits: str) -> None:  # M6
    given = give(alice, 137)
    take(given, 37)
    with pytest.raises(ValueError, match="can't be restored"):
        give_back(given, credits)
    assert remaining(alice) == 150


def test_restored_credits_pay_the_debt_that_taking_them_made(alice: User) -> None:  # P4 M5
    given = give(alice, 10)
    use(alice, 60)
    take(given, 10)
    assert (debt(alice), left(alice)) == (10, [])
    give_back(given, 10)
    assert (debt(alice), left(alice), period(alice).additional_used) == (0, [], 10)
    assert_books_balance()


def test_restored_credits_come_back_unspent_where_others_paid_meanwhile(alice: User) -> None:  # P4
    given = give(alice, 10, COURTESY, key="sorry")
    use(alice, 8)
    take(given, 10)
    give_back(given, 10)
    assert left(alice) == [("courtesy", 10), ("allocation", 42)]
    assert_books_balance()


def test_a_restored_allocation_and_rollover_are_the_periods_again(alice: User) -> None:  # P4 M8
    pay(alice, months=1)
    pay(alice, months=2, key="txn_2")
    for kind, credits in ((Grant.Kind.ALLOCATION, 600), (Grant.Kind.ROLLOVER, 400)):
        grant = Grant.objects.get(period__closed_at=None, kind=kind)
        take(grant, credits, key=f"adj_{kind}", days=32)
        entry = give_back(grant, credits, key=f"rev_{kind}", days=32)
        assert entry.period == period(alice)
    opened = period(alice)
    assert (opened.allocation, opened.rollover, remaining(alice)) == (1000, 1000, 2000)
    assert_books_balance()


def test_nothing_of_a_closed_period_is_restored(alice: User) -> None:  # P4
    pay(alice, months=1)
    allocation = Grant.objects.get(kind=Grant.Kind.ALLOCATION)
    take(allocation, 100)
    pay(alice, months=2, key="txn_2")
    with pytest.raises(grants.NothingToRestore):
        give_back(allocation, 100, days=32)
    assert remaining(alice) == 1900
    assert_books_balance()


def test_the_clock_closes_a_period_before_its_allocation_is_restored(alice: User) -> None:  # P4 M7
    periods.open_due([alice.id], NOW)
    allocation = Grant.objects.get()
    take(allocation, 10)
    with pytest.raises(grants.NothingToRestore):
        give_back(allocation, 10, days=40)
    assert_books_balance()


def test_nothing_of_a_lapsed_grant_is_restored(alice: User) -> None:  # P4
    """The grant would lapse a second time, but the ledger takes one line for that: the clock could never go on."""
    given = give(alice, 10, COURTESY, key="sorry", days=1)
    take(given, 4)
    with pytest.raises(grants.NothingToRestore):
        give_back(given, 4, days=1)
    use(alice, 1, now=NOW + 2 * DAY)
    assert_books_balance()


def test_a_grant_in_a_transaction_that_fails_was_never_given(alice: User) -> None:
    def buy_and_crash() -> None:
        with transaction.atomic():
            give(alice, 10)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        buy_and_crash()
    assert not Wallet.objects.exists()
    give(alice, 10)
    assert remaining(alice) == 60
    assert_books_balance()


def test_a_refused_grant_leaves_the_transaction_around_it_usable(alice: User) -> None:
    with transaction.atomic():
        give(alice, 10)
        with pytest.raises(grants.SourceKeyReused):
            give(alice, 11)
        give(alice, 12, key="txn_2")
    assert remaining(alice) == 72
    assert_books_balance()


def test_every_line_says_when_why_and_by_whom(alice: User, charlie: User) -> None:  # O1
    given = grants.grant(
        alice.id, Decimal(5), kind=COURTESY, source_key="sorry", reason="Outage", actor_id=charlie.id, now=NOW
    )
    grants.void(given, Decimal(5), source_key="oops", reason="Wrong one", actor_id=charlie.id, now=NOW + DAY)
    lines = LedgerEntry.objects.filter(grant=given).order_by("id")
    assert [(line.reason, line.actor_id, line.created_at) for line in lines] == [
        ("Outage", charlie.id, NOW),
        ("Wrong one", charlie.id, NOW + DAY),
    ]


@pytest.mark.parametrize("change", ["UPDATE {} SET id = id", "DELETE FROM {}"])
@pytest.mark.parametrize("model", [LedgerEntry, ModelPrice])
def test_history_can_be_added_to_and_never_changed(
    alice: User, model: type[LedgerEntry] | type[ModelPrice], change: str
) -> None:  # M1 M8
    give(alice, 5)
    rows = model.objects.count()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change.format(model._meta.db_table))
    assert model.objects.count() == rows > 0


@pytest.mark.parametrize(
    ("constraint", "tampering"),
    [
        ("grant_positive", "UPDATE credits_grant SET remaining = -1"),
        ("grant_positive", "UPDATE credits_grant SET withdrawn = -1"),
        ("grant_remaining_within_amount", "UPDATE credits_grant SET remaining = amount + 1"),
        ("grant_remaining_within_amount", "UPDATE credits_grant SET withdrawn = 1"),
        ("grant_of_a_plan_has_a_period", "UPDATE credits_grant SET period_id = NULL WHERE kind = 2"),
        ("grant_once_per_source", "UPDATE credits_grant SET source_key = 'same'"),
        ("wallet_debt_not_negative", "UPDATE credits_wallet SET debt = -1"),
        ("wallet_held_not_negative", "UPDATE credits_wallet SET held = -1"),
        ("period_figures_not_negative", "UPDATE credits_creditperiod SET plan_used = -1"),
        ("period_ends_after_start", "UPDATE credits_creditperiod SET ends_at = starts_at"),
    ],
)
def test_the_database_itself_refuses_impossible_books(alice: User, constraint: str, tampering: str) -> None:
    give(alice, 5)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(tampering)
