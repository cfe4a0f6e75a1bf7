"""Many writers at once, in real threads on real PostgreSQL: nothing is lost, counted twice or stuck."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import Count, Sum

from credits.ledger import grants, locking, periods
from credits.ledger.locking import locked
from credits.models import AIModel, CreditPeriod, Grant, LedgerEntry, ModelPrice, Plan, UsageEvent, UsageRollup, Wallet
from credits.usage import recording
from sidekick.accounts.models import User
from tests.credits.books import (
    NOW,
    assert_books_balance,
    at_once,
    debt,
    event,
    left,
    remaining,
    use,
    wait_until_someone_waits,
)

pytestmark = pytest.mark.django_db(transaction=True)
JOINED = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
MONTH_END = datetime(2026, 5, 31, 9, 30, tzinfo=UTC)


def make_accounts(number: int) -> list[User]:
    return User.objects.bulk_create(User(email=f"{n}@example.com", date_joined=JOINED) for n in range(number))


@pytest.mark.parametrize("time", [1, 2, 3])
def test_every_transactional_test_starts_with_the_plans_and_prices_of_the_migrations(time: int) -> None:
    assert Plan.objects.count() == 3
    assert AIModel.objects.count() == ModelPrice.objects.count() == 6


def test_sixteen_writers_of_overlapping_batches_lose_nothing_and_count_nothing_twice() -> None:  # M2
    accounts = make_accounts(12)
    dice = random.Random(7)
    events = [
        event(
            dice.choice(accounts),
            f"req_{number}",
            model=dice.choice(["gpt-5", "claude-haiku-4-5", "gemini-2.5-pro"]),
            input_tokens=dice.randrange(400_000),
            # Every account's month ends in the middle.
            occurred_at=MONTH_END + timedelta(seconds=dice.randrange(-600, 240)),
        )
        for number in range(1500)
    ]

    def writer(number: int) -> Callable[[], tuple[int, int]]:
        dice = random.Random(number)
        mine = dice.sample(events, 500) + events[number::16]
        dice.shuffle(mine)
        batches = [mine[start : start + 60] for start in range(0, len(mine), 60)]

        def run() -> tuple[int, int]:
            accepted = duplicates = 0
            for place, batch in enumerate(batches):
                # Clocks of several servers never agree: some are past the end while others come to it.
                now = MONTH_END + timedelta(seconds=dice.randrange(-60, 0) + 15 * place)
                receipt = recording.record(batch, now=now)
                assert receipt.rejected == []
                accepted += receipt.accepted
                duplicates += receipt.duplicates
            assert accepted + duplicates == len(mine)
            return accepted, duplicates

        return run

    answers = at_once([writer(number) for number in range(16)])

    assert sum(accepted for accepted, _ in answers) == len(events) == UsageEvent.objects.count()
    price = {
        name: (Decimal(i), Decimal(o))
        for name, i, o in ModelPrice.objects.values_list("model__name", "input", "output")
    }
    for account in accounts:
        mine = [e for e in events if e["account"] == str(account.id)]
        used = sum(
            (price_of(e["input_tokens"], e["output_tokens"], *price[e["model"]]) for e in mine),
            Decimal(0),
        )
        assert UsageEvent.objects.filter(account=account.id).aggregate(sum=Sum("credits"))["sum"] == used
        for grain in UsageRollup.Grain:
            rollups = UsageRollup.objects.filter(account=account.id, grain=grain)
            assert rollups.aggregate(n=Sum("requests"), sum=Sum("credits")) == {"n": len(mine), "sum": used}
        assert CreditPeriod.objects.filter(account=account).aggregate(sum=Sum("used"))["sum"] == used
        assert CreditPeriod.objects.filter(account=account).count() == 2
        entries = LedgerEntry.objects.filter(account=account).aggregate(sum=Sum("amount"))["sum"]
        assert entries - used == remaining(account) - debt(account)
    assert_books_balance()


def price_of(tokens_in: int, tokens_out: int, price_in: Decimal, price_out: Decimal) -> Decimal:
    micro = tokens_in * price_in + tokens_out * price_out
    return Decimal(int(micro + Decimal("0.5"))).scaleb(-6)


def test_writers_that_share_accounts_in_opposite_order_never_deadlock() -> None:
    accounts = make_accounts(40)

    def writer(number: int) -> Callable[[], None]:
        order = accounts if number % 2 else accounts[::-1]

        def run() -> None:
            for turn in range(12):
                recording.record([event(account, f"{number} {turn}") for account in order], now=NOW)

        return run

    at_once([writer(number) for number in range(8)])
    assert UsageEvent.objects.count() == 8 * 12 * 40
    assert_books_balance()


def test_wallets_are_locked_one_after_the_other_in_order_of_account() -> None:
    """A writer that waits for a wallet holds none that comes after it: that is why no two writers can deadlock."""
    first, second = sorted(make_accounts(2), key=lambda account: account.id)
    # The table holds the second one first, and is read as it lies.
    locking._make_missing([second.id])
    locking._make_missing([first.id])

    def wait_for_both() -> None:
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off")
                with locked([second.id, first.id], NOW):
                    pass
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with locked([first.id], NOW):
            waiting = threads.submit(wait_for_both)
            wait_until_someone_waits()
            try:
                Wallet.objects.select_for_update(nowait=True).get(account=second)
            except OperationalError:
                pytest.fail("The second wallet was locked before the first.")
        waiting.result(timeout=10)


def test_wallets_are_made_in_order_of_account_and_only_where_nobody_else_did() -> None:
    first, second = User(id=uuid.UUID(int=1), email="1@example.com"), User(id=uuid.UUID(int=2), email="2@example.com")
    # As the table lies, the second one comes first.
    second.save()
    first.save()

    def make_both() -> None:
        try:
            locking._make_missing([second.id, first.id])
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            locking._make_missing([first.id])
            waiting = threads.submit(make_both)
            wait_until_someone_waits()
            # Would wait for a wallet that the other one made already; and that one waits for ours.
            locking._make_missing([second.id])
        waiting.result(timeout=10)
    assert Wallet.objects.count() == 2


def test_the_second_of_two_writers_waits_for_the_first_and_then_sees_its_rows() -> None:
    [account] = make_accounts(1)
    periods.open_due([account.id], NOW)

    def spend_the_rest() -> None:
        try:
            use(account, 30, now=NOW)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            use(account, 40, now=NOW - timedelta(minutes=1))
            waiting = threads.submit(spend_the_rest)
            wait_until_someone_waits()
        waiting.result(timeout=10)
    assert (remaining(account), debt(account)) == (0, 20)
    assert_books_balance()


def test_grants_voids_readers_and_usage_race_without_losing_a_credit() -> None:  # M3 M5
    accounts = make_accounts(3)
    bought = {
        account: grants.grant(account.id, Decimal(100), kind=Grant.Kind.PURCHASED, source_key="first", now=MONTH_END)
        for account in accounts
    }
    after = MONTH_END + timedelta(days=31)

    def spender(number: int) -> Callable[[], None]:
        def run() -> None:
            for turn in range(10):
                recording.record(
                    [
                        event(a, f"{number} {turn}", model="claude-haiku-4-5", input_tokens=50_000, output_tokens=0,
                              occurred_at=after)
                        for a in accounts
                    ],
                    now=after,
                )  # fmt: skip

        return run

    def giver(number: int) -> Callable[[], None]:
        kind = [Grant.Kind.COURTESY, Grant.Kind.PURCHASED][number % 2]

        def run() -> None:
            for turn in range(8):
                for account in random.Random(number).sample(accounts, 3):
                    grants.grant(account.id, Decimal(2), kind=kind, source_key=f"{number % 3} {kind} {turn}", now=after)

        return run

    def taker() -> None:
        for turn in range(8):
            for account in accounts:
                grants.void(bought[account], Decimal(5), source_key=f"refund {turn}", reason="race", now=after)

    def reader() -> None:
        for _ in range(15):
            periods.open_due([account.id for account in accounts], after)
            periods.open_all_due(after)

    spenders, givers = [spender(n) for n in range(5)], [giver(n) for n in range(12)]
    at_once([*spenders, *givers, taker, taker, reader, reader])
    for account in accounts:
        # A second month of Free; 100 bought and 8 × 5 refunded; 6 kinds of key for 8 turns, 2 each, whoever came
        # first with it; 5 × 10 requests of 1 credit.
        assert remaining(account) - debt(account) == 50 + 100 - 8 * 5 + 6 * 8 * 2 - 5 * 10
        assert CreditPeriod.objects.filter(account=account).count() == 2
    assert_books_balance()


def test_a_purchase_reported_twenty_times_at_once_is_granted_once() -> None:  # B5
    [account] = make_accounts(1)

    def buy() -> int:
        given = grants.grant(account.id, Decimal(137), kind=Grant.Kind.PURCHASED, source_key="txn_1", now=NOW)
        return given.pk

    assert len(set(at_once([buy] * 20))) == 1
    assert left(account) == [("allocation", 50), ("purchased", 137)]
    assert LedgerEntry.objects.filter(account=account, kind=LedgerEntry.Kind.PURCHASED).count() == 1
    assert_books_balance()


def test_a_refund_reported_twenty_times_at_once_takes_back_once() -> None:  # P2 P4
    [account] = make_accounts(1)
    given = grants.grant(account.id, Decimal(137), kind=Grant.Kind.PURCHASED, source_key="txn_1", now=NOW)

    def refund() -> int:
        return grants.void(given, Decimal(37), source_key="adj_1", reason="refund", now=NOW).pk

    assert len(set(at_once([refund] * 20))) == 1
    assert left(account) == [("allocation", 50), ("purchased", 100)]
    assert_books_balance()


def test_a_paid_period_reported_twenty_times_at_once_opens_once() -> None:  # M7
    [account] = make_accounts(1)
    pro = Plan.objects.get(slug="pro")

    def pay() -> int:
        return periods.open_paid(
            account.id, plan=pro, starts_at=NOW, ends_at=NOW + timedelta(days=31), source_key="txn_1", now=NOW
        ).pk

    assert len(set(at_once([pay] * 20))) == 1
    assert left(account) == [("allocation", 1000)]
    assert_books_balance()


def test_the_hourly_job_and_readers_open_one_period_for_each_account() -> None:  # M7
    accounts = make_accounts(60)
    ids = [account.id for account in accounts]
    periods.open_due(ids, MONTH_END - timedelta(days=1))

    def job() -> None:
        periods.open_all_due(MONTH_END)

    def reader(number: int) -> Callable[[], None]:
        def run() -> None:
            for account in random.Random(number).sample(ids, len(ids)):
                periods.open_due([account], MONTH_END)

        return run

    at_once([job] * 4 + [reader(number) for number in range(6)])
    counts = CreditPeriod.objects.values("account").annotate(n=Count("id")).values_list("n", flat=True)
    assert list(counts) == [2] * 60
    assert all(left(account) == [("allocation", 50)] for account in accounts)
    assert_books_balance()


def test_accounts_without_wallets_get_one_each_from_sixteen_first_callers() -> None:  # M7
    accounts = make_accounts(30)

    def first_look(number: int) -> Callable[[], None]:
        ids = [account.id for account in random.Random(number).sample(accounts, 20)]
        return lambda: periods.open_due(ids, NOW)

    at_once([first_look(number) for number in range(16)])
    assert Wallet.objects.count() == CreditPeriod.objects.count() == Grant.objects.count() == 30
    assert_books_balance()
