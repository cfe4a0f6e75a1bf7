"""`locked` is the one way to a wallet: it makes, locks, orders and lets the clock catch up; inside it, calls join."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from threading import Event

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from credits.ledger import grants, locking, periods, upgrades
from credits.ledger.locking import NotLocked, locked
from credits.models import CreditPeriod, Grant, Plan, Wallet
from sidekick.accounts.models import User
from tests.conftest import make_user
from tests.credits.books import NOW, assert_books_balance, at_once, left, wait_until_someone_waits

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
MONTH = timedelta(days=31)


@contextmanager
def sent() -> Iterator[list[str]]:
    """The statements that the block sends, without those that open and close savepoints."""
    found: list[str] = []
    with CaptureQueriesContext(connection) as queries:
        yield found
    found += [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]


def give(account: User, credits: int = 10, *, key: str = "gift", days: int | None = None) -> Grant:
    expires_at = None if days is None else NOW + days * DAY
    return grants.grant(
        account.id, Decimal(credits), kind=Grant.Kind.COURTESY, source_key=key, expires_at=expires_at, now=NOW
    )


# Making


def test_every_user_has_a_wallet_inside_and_nobody_else(alice: User, charlie: User) -> None:
    stranger = uuid.uuid4()
    with locked([alice.id, stranger], NOW) as wallets:
        assert wallets == {alice.id}
    assert Wallet.objects.get().account_id == alice.id


@pytest.mark.parametrize("exists", [True, False])
def test_a_writer_without_a_savepoint_looks_before_it_makes_a_wallet(alice: User, exists: bool) -> None:
    if exists:
        periods.open_due([alice.id], NOW)
    with CaptureQueriesContext(connection) as queries, locked([alice.id], NOW, savepoint=False) as wallets:
        assert wallets == {alice.id}
    assert left(alice) == [("allocation", 50)]
    if exists:
        assert ["FOR UPDATE" in query["sql"] for query in queries] == [True]


@pytest.mark.django_db(transaction=True)
def test_a_wallet_is_committed_before_the_transaction_that_locks_it() -> None:
    alice = make_user("alice@example.com")
    with pytest.raises(RuntimeError, match="rolled back"), locked([alice.id], NOW):
        raise RuntimeError("rolled back")
    assert Wallet.objects.get().account_id == alice.id
    assert not CreditPeriod.objects.exists()


# Locking


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("savepoint", [True, False])
def test_a_second_writer_waits_until_the_first_has_committed(savepoint: bool) -> None:
    alice = make_user("alice@example.com")
    periods.open_due([alice.id], NOW)
    order: list[str] = []
    begun = Event()

    def first() -> None:
        with locked([alice.id], NOW, savepoint=savepoint):
            begun.set()
            wait_until_someone_waits()
            order.append("first")

    def second() -> None:
        begun.wait(timeout=10)
        with locked([alice.id], NOW, savepoint=savepoint):
            order.append("second")

    at_once([first, second])
    assert order == ["first", "second"]


def test_wallets_are_locked_by_one_statement_in_order_of_account(alice: User, charlie: User) -> None:
    periods.open_due([alice.id, charlie.id], NOW)
    with sent() as statements, locked([charlie.id, alice.id], NOW):
        pass
    _, lock = statements
    assert lock.endswith("ORDER BY account_id FOR UPDATE")


# The clock


def test_the_clock_has_caught_up_inside(alice: User) -> None:  # M7
    give(alice, days=1)
    with locked([alice.id], NOW + 40 * DAY):
        opened = CreditPeriod.objects.get(account=alice, closed_at=None)
        assert opened.starts_at > NOW
        assert left(alice) == [("allocation", 50)]


def test_who_opens_the_next_period_finds_none_opened_and_courtesy_lapsed(alice: User) -> None:  # M3 M7
    give(alice, days=1)
    with locked([alice.id], NOW + 40 * DAY, open_due=False):
        assert CreditPeriod.objects.get(account=alice, closed_at=None).ends_at < NOW + 40 * DAY
        assert left(alice) == [("allocation", 50)]


def test_a_nested_call_for_a_later_moment_lets_the_clock_go_on(alice: User) -> None:  # M7
    with locked([alice.id], NOW):
        first = CreditPeriod.objects.get(account=alice, closed_at=None)
        with locked([alice.id], NOW + 40 * DAY):
            assert CreditPeriod.objects.get(account=alice, closed_at=None).starts_at > first.starts_at


def test_a_nested_call_does_what_the_outer_one_left_to_the_clock(alice: User) -> None:  # M7
    with locked([alice.id], NOW, open_due=False):
        assert not CreditPeriod.objects.exists()
        with locked([alice.id], NOW, open_due=False):
            assert not CreditPeriod.objects.exists()
        with locked([alice.id], NOW):
            assert CreditPeriod.objects.get().account == alice


# Joining


def test_a_nested_call_sends_no_statement(alice: User, charlie: User) -> None:
    with (
        locked([alice.id, charlie.id], NOW),
        CaptureQueriesContext(connection) as queries,
        locked([alice.id], NOW) as wallets,
        locked([alice.id], NOW - DAY, open_due=False, savepoint=False),
    ):
        assert wallets == {alice.id}
    assert len(queries) == 0


def open_paid(account: User) -> object:
    pro = Plan.objects.get(slug="pro")
    start = NOW - DAY
    return periods.open_paid(account.id, plan=pro, starts_at=start, ends_at=start + MONTH, source_key="paid", now=NOW)


def grow(account: User) -> object:
    plan = Plan.objects.get(slug="pro")
    return upgrades.grow(account.id, plan=plan, instead_of=None, at=NOW, source_key="up", now=NOW)


def open_free(account: User) -> object:
    return periods.open_free(account.id, starts_at=NOW, now=NOW)


def void(account: User) -> object:
    given = Grant.objects.get(account=account, source_key="given")
    return grants.void(given, Decimal(2), source_key="void", reason="", now=NOW)


def restore(account: User) -> object:
    given = Grant.objects.get(account=account, source_key="given")
    return grants.restore(given, Decimal(1), source_key="restore", reason="", now=NOW)


def pay_until(account: User) -> None:
    periods.pay_until(CreditPeriod.objects.get(account=account, closed_at=None), NOW + MONTH, NOW)


@pytest.mark.parametrize("write", [open_paid, grow, open_free, give, void, restore, pay_until])
def test_writers_inside_lock_nothing_again(alice: User, write: Callable[[User], object]) -> None:
    given = give(alice, 5, key="given")
    grants.void(given, Decimal(3), source_key="taken", reason="", now=NOW)
    with sent() as alone, transaction.atomic():
        write(alice)
        transaction.set_rollback(True)
    with locked([alice.id], NOW), CaptureQueriesContext(connection) as inside:
        write(alice)
    assert [sql for sql in alone if "FOR UPDATE" in sql]
    assert not [query["sql"] for query in inside if "FOR UPDATE" in query["sql"] or "SAVEPOINT" in query["sql"]]
    assert not [query["sql"] for query in inside if "INSERT INTO credits_wallet" in query["sql"]]
    assert len(inside) < len(alone)
    assert_books_balance()


def test_a_nested_call_may_not_lock_another_wallet(alice: User, charlie: User) -> None:
    with locked([charlie.id], NOW):
        with pytest.raises(NotLocked, match=str(alice.id)):
            give(alice)
        with pytest.raises(NotLocked), locked([alice.id, charlie.id], NOW):
            pass
        give(charlie)
    assert not Wallet.objects.filter(account=alice).exists()
    assert ("courtesy", 10) in left(charlie)


def test_after_the_block_another_one_locks_again(alice: User, charlie: User) -> None:
    """Also when the first one failed, and though the transaction around both goes on."""
    with pytest.raises(ValueError, match="can't be given"), locked([alice.id], NOW):
        give(alice, -1)
    with sent() as statements, locked([charlie.id], NOW), locked([charlie.id], NOW):
        pass
    assert len([sql for sql in statements if "FOR UPDATE" in sql]) == 1


@pytest.mark.django_db(transaction=True)
def test_another_thread_joins_nothing() -> None:
    alice, charlie = make_user("alice@example.com"), make_user("charlie@example.com")
    with locked([alice.id], NOW):
        at_once([lambda: give(charlie)])
    assert ("courtesy", 10) in left(charlie)
    assert locking._thread.outer is None
