"""When periods open and close, and what rolls over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from credits.ledger import grants, locking, periods, upgrades
from credits.ledger.months import month_of
from credits.models import CreditPeriod, Grant, LedgerEntry, Plan, Wallet
from credits.usage import recording
from sidekick.accounts.models import User
from tests.conftest import JOINED, make_user
from tests.credits.books import (
    NOW,
    assert_books_balance,
    debt,
    event,
    history,
    left,
    period,
    remaining,
    use,
)

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def utc(year: int, month: int, day: int, hour: int = 9, minute: int = 30) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def look(account: User, now: datetime) -> CreditPeriod:
    """Do to the ledger what opening the page does."""
    periods.open_due([account.id], now)
    return period(account)


def pay(
    account: User,
    start: datetime,
    *,
    key: str = "txn_1",
    plan: str = "pro",
    year: bool = False,
    now: datetime | None = None,
    until: datetime | None = None,
) -> CreditPeriod:
    return periods.open_paid(
        account.id,
        plan=Plan.objects.get(slug=plan),
        starts_at=start,
        ends_at=month_of(start, start)[1],
        paid_until=until or (start.replace(year=start.year + 1) if year else None),
        source_key=key,
        now=now or start,
    )


@pytest.mark.parametrize(
    ("anchor", "ends"),
    [
        (utc(2026, 1, 31), ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30"]),
        (utc(2028, 1, 31), ["2028-02-29", "2028-03-31", "2028-04-30", "2028-05-31", "2028-06-30"]),
        (utc(2027, 1, 30), ["2027-02-28", "2027-03-30", "2027-04-30", "2027-05-30", "2027-06-30"]),
        (utc(2027, 1, 29), ["2027-02-28", "2027-03-29", "2027-04-29", "2027-05-29", "2027-06-29"]),
        (utc(2028, 1, 29), ["2028-02-29", "2028-03-29", "2028-04-29", "2028-05-29", "2028-06-29"]),
        (utc(2028, 2, 29), ["2028-03-29", "2028-04-29", "2028-05-29", "2028-06-29", "2028-07-29"]),
        (utc(2026, 12, 31), ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]),
    ],
)
def test_months_clamp_to_short_months_and_come_back(anchor: datetime, ends: list[str]) -> None:  # M7
    start = anchor
    for end in ends:
        for moment in (start, start + 9 * DAY):
            assert month_of(anchor, moment)[0] == start
        start, end_of_month = month_of(anchor, start)
        assert end_of_month == datetime.fromisoformat(f"{end}T09:30:00+00:00")
        assert month_of(anchor, end_of_month - TICK) == (start, end_of_month)
        start = end_of_month


def test_months_are_those_of_utc_whatever_zone_the_question_comes_in() -> None:  # M7
    anchor, moment = utc(2026, 1, 1, 0, 0), utc(2026, 4, 1, 4, 0)
    expected = (utc(2026, 4, 1, 0, 0), utc(2026, 5, 1, 0, 0))
    for zone in ("UTC", "America/New_York", "Pacific/Kiritimati", "Europe/Berlin"):
        there = ZoneInfo(zone)
        assert month_of(anchor.astimezone(there), moment.astimezone(there)) == expected


def test_daylight_saving_moves_no_boundary() -> None:  # M7
    berlin = ZoneInfo("Europe/Berlin")
    joined = datetime(2026, 3, 15, 12, tzinfo=berlin)
    start, end = month_of(joined, datetime(2026, 4, 1, 12, tzinfo=berlin))
    assert (start, end) == (utc(2026, 3, 15, 11, 0), utc(2026, 4, 15, 11, 0))


def test_free_months_begin_at_the_minute_of_sign_up(alice: User) -> None:  # M7
    opened = look(alice, NOW)
    assert (opened.plan_id, opened.starts_at, opened.ends_at) == ("free", utc(2026, 4, 30), utc(2026, 5, 31))
    assert left(alice) == [("allocation", Decimal(50))]
    assert history(alice) == [("allocation", Decimal(50))]


def test_a_period_is_half_open(alice: User) -> None:  # M7
    look(alice, NOW)
    assert look(alice, utc(2026, 5, 31) - TICK).starts_at == utc(2026, 4, 30)
    assert look(alice, utc(2026, 5, 31)).starts_at == utc(2026, 5, 31)


def test_looking_twice_opens_once(alice: User) -> None:  # M7
    assert look(alice, NOW) == look(alice, NOW)
    assert remaining(alice) == 50


def test_months_nobody_looked_at_do_not_pile_up(alice: User) -> None:  # M7
    look(alice, utc(2026, 2, 10))
    opened = look(alice, utc(2026, 8, 30))
    assert (opened.starts_at, opened.ends_at) == (utc(2026, 7, 31), utc(2026, 8, 31))
    assert CreditPeriod.objects.count() == 2
    assert left(alice) == [("allocation", Decimal(50))]
    assert history(alice)[1:] == [("forfeited", Decimal(-50)), ("allocation", Decimal(50))]
    assert_books_balance()


def test_a_period_stays_open_until_its_successor_opens(alice: User) -> None:  # M7
    pay(alice, NOW)
    late = NOW + timedelta(days=45)
    assert look(alice, late).plan_id == "pro"
    use(alice, 10, now=late)
    assert period(alice).used == 10
    assert_books_balance()


def test_an_account_from_the_future_gets_its_first_month(charlie: User) -> None:
    User.objects.filter(id=charlie.id).update(date_joined=NOW + DAY)
    assert look(charlie, NOW).starts_at == NOW + DAY


def test_a_payment_opens_its_period_once(alice: User) -> None:  # M7
    first = pay(alice, NOW)
    assert (first.plan_id, first.starts_at, first.ends_at) == (
        "pro",
        NOW,
        utc(2026, 6, 10, 12, 7) + timedelta(seconds=30),
    )
    assert pay(alice, NOW, now=NOW + DAY) == first
    assert left(alice) == [("allocation", Decimal(1000))]
    assert CreditPeriod.objects.count() == 1
    assert_books_balance()


def test_a_payment_told_again_after_its_period_closed_opens_nothing(alice: User) -> None:  # M7
    first = pay(alice, NOW)
    second = pay(alice, first.ends_at, key="txn_2")
    assert pay(alice, NOW, now=first.ends_at + DAY) == first
    assert period(alice) == second
    assert_books_balance()


def test_payments_out_of_order_leave_the_newest_period_open_with_what_the_earlier_one_left(alice: User) -> None:
    """M7 M8 P2; `test_backdated` has more."""
    newest = pay(alice, NOW, key="txn_2")
    earlier = pay(alice, NOW - 31 * DAY, key="txn_1", plan="starter", now=NOW + 2 * DAY)
    assert earlier.closed_at == NOW + 2 * DAY
    assert period(alice) == newest
    assert left(alice) == [("rollover", 250), ("allocation", 1000)]
    assert_books_balance()


def test_a_period_paid_before_the_free_one_began_follows_that_one(alice: User) -> None:  # M7
    free = look(alice, NOW)
    paid = pay(alice, free.starts_at - DAY, now=NOW)
    assert (paid.starts_at, paid.ends_at) == (free.starts_at + TICK, utc(2026, 5, 29))
    assert left(alice) == [("allocation", Decimal(1000))]
    assert_books_balance()


def test_a_year_paid_before_the_free_period_began_keeps_its_own_months(alice: User) -> None:  # M7
    """Free opened on 31 May at 9:30 while the payment of 30 May was on its way."""
    free = look(alice, utc(2026, 5, 31, 10))
    pay(alice, utc(2026, 5, 30, 0, 0), year=True, now=utc(2026, 6, 1))
    assert period(alice).starts_at == free.starts_at + TICK
    second = look(alice, utc(2026, 6, 30, 1))
    assert (second.starts_at, second.ends_at) == (utc(2026, 6, 30, 0, 0), utc(2026, 7, 30, 0, 0))
    assert look(alice, utc(2026, 6, 30, 11)) == second
    assert_books_balance()


def test_a_year_told_of_after_its_first_month_was_free_opens_the_month_it_is_in(alice: User) -> None:  # M7
    look(alice, utc(2026, 7, 31, 10))
    paid = pay(alice, utc(2026, 6, 10), year=True, now=utc(2026, 8, 1))
    assert (paid.starts_at, paid.ends_at) == (utc(2026, 7, 31) + TICK, utc(2026, 8, 10))
    assert left(alice) == [("allocation", Decimal(1000))]
    assert look(alice, utc(2026, 8, 10)).starts_at == utc(2026, 8, 10)
    assert_books_balance()


def test_a_month_paid_for_that_lies_before_the_free_period_leaves_free_open(alice: User) -> None:  # M7 M8 P2
    free = look(alice, utc(2026, 7, 31, 10))
    paid = pay(alice, utc(2026, 6, 10), now=utc(2026, 8, 1))
    assert (paid.starts_at, paid.ends_at, paid.closed_at) == (utc(2026, 6, 10), utc(2026, 7, 10), utc(2026, 8, 1))
    assert period(alice) == free
    # Credits left of a paid plan live for one period of Free, whenever that began.
    assert left(alice) == [("rollover", Decimal(1000)), ("allocation", Decimal(50))]
    assert_books_balance()


def test_usage_of_the_new_period_recorded_before_it_opened_counts_in_the_new_one(alice: User) -> None:  # M7
    use(alice, 10, now=NOW - DAY)
    use(alice, 20, now=NOW + DAY)
    paid = pay(alice, NOW, now=NOW + 2 * DAY)
    assert (paid.used, paid.plan_used) == (20, 0)
    closed = CreditPeriod.objects.get(closed_at__isnull=False)
    assert (closed.used, closed.plan_used) == (10, 30)
    assert left(alice) == [("allocation", Decimal(1000))]
    assert_books_balance()


def test_a_paid_year_opens_twelve_months_and_not_a_thirteenth(alice: User) -> None:  # M7
    start = utc(2026, 1, 31)
    pay(alice, start, year=True, plan="starter")
    now = start
    while now < utc(2027, 4, 10):
        now += 5 * DAY
        look(alice, now)
    assert CreditPeriod.objects.count() == 12
    last = period(alice)
    assert (last.starts_at, last.ends_at) == (utc(2026, 12, 31), utc(2027, 1, 31))
    assert Wallet.objects.get().due_at is None
    assert LedgerEntry.objects.filter(kind=LedgerEntry.Kind.ALLOCATION).count() == 12
    assert_books_balance()


@pytest.mark.parametrize("drift", [timedelta(seconds=1), timedelta(days=1), timedelta(seconds=-1), timedelta(days=-1)])
def test_a_paid_year_that_ends_a_little_off_its_anchor_has_twelve_months(alice: User, drift: timedelta) -> None:  # M7
    """A year from 29 February may end on 28 February or on 1 March."""
    start = utc(2028, 2, 29)
    until = utc(2029, 2, 28) + drift
    pay(alice, start, until=until)
    now = start
    while now < until + 40 * DAY:
        now += 5 * DAY
        look(alice, now)
    assert CreditPeriod.objects.count() == 12
    assert period(alice).ends_at == until


def test_a_paid_year_nobody_looked_at_keeps_its_last_month_open(alice: User) -> None:  # M7
    pay(alice, NOW, year=True)
    last = look(alice, NOW + timedelta(days=800))
    assert last.ends_at == NOW.replace(year=2027)
    assert last.starts_at == utc(2027, 4, 10, 12, 7) + timedelta(seconds=30)
    assert CreditPeriod.objects.count() == 2


def test_back_on_free_months_count_from_the_end_of_the_plan(alice: User) -> None:  # M7
    pay(alice, NOW)
    ended = NOW + timedelta(days=31)
    free = periods.open_free(alice.id, starts_at=ended, now=ended + timedelta(days=40))
    assert free.plan_id == "free"
    assert free.starts_at == utc(2026, 7, 10, 12, 7) + timedelta(seconds=30)
    assert periods.open_free(alice.id, starts_at=ended + DAY, now=ended + timedelta(days=40)) == free
    assert_books_balance()


def test_a_plan_that_ended_before_its_last_period_began_gives_way_to_free(alice: User) -> None:  # M7
    pay(alice, NOW)
    use(alice, 5, now=NOW)
    for ended in (NOW, NOW - 3 * DAY):
        paid = period(alice)
        free = periods.open_free(alice.id, starts_at=ended, now=NOW + DAY)
        assert free.starts_at == paid.starts_at + TICK
        assert free.ends_at > NOW + DAY
        assert_books_balance()
        pay(alice, NOW + DAY, key="txn_2")


def test_an_unused_allocation_rolls_over_for_one_period_only(alice: User) -> None:  # M8
    first = pay(alice, NOW)
    use(alice, 300, now=NOW)
    second = pay(alice, first.ends_at, key="txn_2")
    assert (second.rollover, second.allocation) == (700, 1000)
    assert left(alice) == [("rollover", Decimal(700)), ("allocation", Decimal(1000))]
    use(alice, 100, now=first.ends_at)
    third = pay(alice, second.ends_at, key="txn_3")
    assert left(alice) == [("rollover", Decimal(1000)), ("allocation", Decimal(1000))]
    assert third.rollover == 1000
    assert history(alice) == [
        ("allocation", 1000),
        ("rolled_out", -700),
        ("rollover", 700),
        ("allocation", 1000),
        ("rolled_out", -1000),
        ("forfeited", -600),
        ("rollover", 1000),
        ("allocation", 1000),
    ]
    assert_books_balance()


@pytest.mark.parametrize(("percent", "carried"), [(100, 250), (40, 100), (33, Decimal("82.5")), (0, 0), (150, 250)])
def test_rollover_is_capped_at_a_percentage_of_the_allocation(
    alice: User, percent: int, carried: Decimal
) -> None:  # M8
    Plan.objects.filter(slug="starter").update(rollover_percent=percent)
    first = pay(alice, NOW, plan="starter")
    second = pay(alice, first.ends_at, key="txn_2", plan="starter")
    assert second.rollover == carried
    assert remaining(alice) == 250 + carried
    assert_books_balance()


def test_free_rolls_nothing_over(alice: User) -> None:  # M8
    look(alice, NOW)
    paid = pay(alice, NOW + DAY)
    assert paid.rollover == 0
    assert history(alice) == [("allocation", 50), ("forfeited", -50), ("allocation", 1000)]


def test_what_a_paid_plan_left_lives_one_period_of_free(alice: User) -> None:  # M8
    paid = pay(alice, NOW)
    free = periods.open_free(alice.id, starts_at=paid.ends_at, now=paid.ends_at)
    assert left(alice) == [("rollover", Decimal(1000)), ("allocation", Decimal(50))]
    look(alice, free.ends_at)
    assert left(alice) == [("allocation", Decimal(50))]
    assert_books_balance()


def test_bought_and_courtesy_credits_survive_every_close(alice: User) -> None:  # M3
    for kind in (Grant.Kind.PURCHASED, Grant.Kind.COURTESY):
        grants.grant(alice.id, Decimal(9), kind=kind, source_key=kind.name, now=NOW)
    look(alice, NOW + timedelta(days=400))
    assert left(alice) == [("courtesy", 9), ("allocation", 50), ("purchased", 9)]
    assert_books_balance()


def test_a_new_period_pays_the_debt_first(alice: User) -> None:  # M5
    use(alice, 80, now=NOW)
    assert debt(alice) == 30
    opened = look(alice, utc(2026, 5, 31))
    assert (debt(alice), opened.used, opened.plan_used) == (0, 0, 30)
    assert left(alice) == [("allocation", Decimal(20))]
    assert_books_balance()


def test_a_debt_larger_than_the_new_allocation_stays(alice: User) -> None:  # M5
    use(alice, 180, now=NOW)
    look(alice, utc(2026, 5, 31))
    assert (debt(alice), left(alice)) == (80, [])
    assert_books_balance()


def test_courtesy_credits_lapse_at_their_time_and_are_shown_as_forfeited(alice: User) -> None:  # M8
    grants.grant(alice.id, Decimal(10), kind=Grant.Kind.COURTESY, source_key="sorry", expires_at=NOW + DAY, now=NOW)
    use(alice, 4, now=NOW)
    assert Wallet.objects.get().due_at == NOW + DAY
    look(alice, NOW + DAY - TICK)
    assert left(alice)[0] == ("courtesy", 6)
    look(alice, NOW + DAY)
    assert left(alice) == [("allocation", 50)]
    assert history(alice)[-1] == ("forfeited", -6)
    assert Wallet.objects.get().due_at == utc(2026, 5, 31)
    assert_books_balance()


@pytest.mark.parametrize("call", ["use", "grant", "void", "restore", "grow", "open_paid", "open_free"])
def test_whoever_writes_lapses_courtesy_credits_first(alice: User, call: str) -> None:
    bought = grants.grant(alice.id, Decimal(1), kind=Grant.Kind.PURCHASED, source_key="txn", now=NOW)
    grants.void(bought, Decimal("0.5"), source_key="taken", reason="chargeback", now=NOW)
    grants.grant(alice.id, Decimal(10), kind=Grant.Kind.COURTESY, source_key="sorry", expires_at=NOW + DAY, now=NOW)
    later = NOW + DAY
    if call == "use":
        use(alice, 1, now=later)
    elif call == "grant":
        grants.grant(alice.id, Decimal(1), kind=Grant.Kind.PURCHASED, source_key="txn_2", now=later)
    elif call == "void":
        grants.void(bought, Decimal("0.5"), source_key="adj", reason="refund", now=later)
    elif call == "restore":
        grants.restore(bought, Decimal("0.5"), source_key="back", reason="reversed", now=later)
    elif call == "grow":
        upgrades.grow(alice.id, plan=Plan.objects.get(slug="pro"), instead_of=None, at=NOW, source_key="up", now=later)
    elif call == "open_paid":
        pay(alice, NOW, now=later)
    else:
        periods.open_free(alice.id, starts_at=NOW, now=later)
    assert "courtesy" not in dict(left(alice))
    assert ("forfeited", Decimal(-10)) in history(alice)
    assert_books_balance()


def test_the_hourly_job_opens_all_that_is_due_and_then_has_nothing_to_do(
    alice: User, charlie: User, monkeypatch: pytest.MonkeyPatch
) -> None:  # M7
    others = [make_user(f"{n}@example.com") for n in range(5)]
    everyone = [alice.id, charlie.id, *(other.id for other in others)]
    periods.open_due(everyone, NOW)
    monkeypatch.setattr(periods, "OPENED_AT_ONCE", 3)
    assert periods.open_all_due(NOW) == 0
    assert periods.open_all_due(utc(2026, 5, 31)) == 7
    assert periods.open_all_due(utc(2026, 5, 31)) == 0
    assert CreditPeriod.objects.count() == 14


@pytest.mark.parametrize(
    "state", ["new", "free", "paid", "year", "year over", "lapsing", "future", "back on free", "debt", "nothing left"]
)
def test_no_wallet_is_due_after_the_clock_has_caught_up(alice: User, state: str) -> None:
    """Otherwise the hourly job would never end."""
    if state == "future":
        User.objects.filter(id=alice.id).update(date_joined=NOW + timedelta(days=50))
    if state in {"free", "back on free"}:
        look(alice, NOW)
    if state in {"paid", "back on free"}:
        pay(alice, NOW)
    if state == "back on free":
        periods.open_free(alice.id, starts_at=NOW, now=NOW)
    if state.startswith("year"):
        pay(alice, NOW, year=True)
    if state == "lapsing":
        kind = Grant.Kind.COURTESY
        grants.grant(alice.id, Decimal(1), kind=kind, source_key="sorry", expires_at=NOW - DAY, now=NOW)
    if state == "debt":
        use(alice, 1000, now=NOW)
    locking._make_missing([alice.id])
    for days in range(0, 800 if state == "year over" else 100, 11):
        now = NOW + timedelta(days=days)
        periods.open_all_due(now)
        assert not Wallet.objects.filter(due_at__lte=now).exists()
    assert_books_balance()


def test_opening_a_hundred_accounts_costs_as_many_statements_as_opening_one(
    alice: User, django_assert_max_num_queries: object
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    many = User.objects.bulk_create(User(email=f"{n}@example.com", date_joined=JOINED) for n in range(100))
    periods.open_due([alice.id, *(one.id for one in many)], NOW)
    counts = []
    for accounts in ([alice.id], [one.id for one in many]):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            periods.open_due(accounts, utc(2026, 5, 31))
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_month_reported_across_its_end_by_one_call_counts_in_both_periods(alice: User) -> None:  # M7
    end = utc(2026, 5, 31)
    recording.record(
        [
            event(alice, "before", occurred_at=end - TICK),
            event(alice, "at", occurred_at=end),
            event(alice, "after", occurred_at=end + TICK),
        ],
        now=end,
    )
    # Alice's first period is the one open now; what came before it belongs to none.
    assert period(alice).used == Decimal("0.348")
    assert_books_balance()


def test_an_account_the_database_refuses_does_not_keep_the_others_waiting(
    alice: User, charlie: User, caplog: pytest.LogCaptureFixture
) -> None:  # M7
    for account in (alice, charlie):
        look(account, NOW)
    start, end = period(alice).ends_at, period(alice).ends_at + 30 * DAY
    CreditPeriod.objects.create(
        account=alice,
        plan_id="free",
        allocation=0,
        starts_at=start,
        ends_at=end,
        anchor=start,
        closed_at=NOW,
    )
    assert periods.open_all_due(start) == 2
    assert period(charlie).starts_at == start
    assert period(alice).starts_at < start
    assert str(alice.id) in caplog.text


def test_a_deleted_account_gets_no_further_month(alice: User, charlie: User) -> None:  # A10 M7
    """Free or paid; usage that comes late is still counted, and the clock has nothing more to do for it."""
    look(alice, utc(2026, 2, 1))
    pay(charlie, utc(2026, 2, 1), year=True)
    User.objects.update(deleted_at=utc(2026, 2, 3))
    periods.open_all_due(utc(2026, 8, 1))
    assert [CreditPeriod.objects.filter(account=account).count() for account in (alice, charlie)] == [1, 1]
    assert periods.open_all_due(utc(2026, 9, 1)) == 0
    assert_books_balance()
    use(alice, 60, now=utc(2026, 9, 2), at=utc(2026, 2, 2))
    assert period(alice).ends_at == utc(2026, 2, 28)
    assert debt(alice) == 10
    assert_books_balance()


def test_what_a_deleted_account_never_had_is_opened_for_its_late_usage(alice: User) -> None:  # A10
    User.objects.update(deleted_at=utc(2026, 2, 3))
    use(alice, 60, now=utc(2026, 2, 4), at=utc(2026, 2, 2))
    assert debt(alice) == 10
    assert_books_balance()


def test_a_year_cut_to_the_month_that_is_over_opens_no_further_month(alice: User) -> None:  # M7 P4
    end = month_of(NOW, NOW)[1]
    year = NOW.replace(year=NOW.year + 1)
    opened = periods.open_paid(
        alice.id,
        plan=Plan.objects.get(slug="pro"),
        starts_at=NOW,
        ends_at=end,
        paid_until=year,
        source_key="paid",
        now=NOW,
    )
    periods.pay_until(opened, end, end + DAY)
    current = CreditPeriod.objects.get(account=alice, closed_at=None)
    assert (current.pk, current.paid_until) == (opened.pk, end)
    assert_books_balance()
