"""Payments, upgrades and their reversals that arrive late, twice, at once or in any order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credits.ledger import grants, periods, upgrades
from credits.ledger.audit import differences
from credits.ledger.months import month_of
from credits.models import CreditPeriod, Grant, LedgerEntry, Plan
from sidekick.accounts.models import User
from tests.conftest import make_user
from tests.credits.books import NOW, assert_books_balance, at_once, debt, history, left, period, remaining, use

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
in_database = pytest.mark.django_db
threads = pytest.mark.django_db(transaction=True)
examples = settings(
    max_examples=int(os.environ.get("LATE_EXAMPLES", "60")),
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=list(HealthCheck),
)


def month(number: int) -> datetime:
    """Months of NOW, which is the 10th."""
    year, index = divmod(NOW.year * 12 + NOW.month - 1 + number, 12)
    return NOW.replace(year=year, month=index + 1)


def pay(
    account: User,
    start: datetime,
    *,
    key: str,
    plan: str = "pro",
    until: datetime | None = None,
    now: datetime | None = None,
) -> CreditPeriod:
    return periods.open_paid(
        account.id,
        plan=Plan.objects.get(slug=plan),
        starts_at=start,
        ends_at=month_of(start, start)[1],
        paid_until=until,
        source_key=key,
        now=now or start,
    )


def upgrade(
    account: User, at: datetime, *, key: str = "up", plan: str = "pro", instead_of: str | None = None, now: datetime
) -> bool:
    plans = Plan.objects.in_bulk()
    return upgrades.grow(
        account.id,
        plan=plans[plan],
        instead_of=plans[instead_of] if instead_of else None,
        at=at,
        source_key=key,
        now=now,
    )


def make_plan(slug: str, credits: int, percent: int = 100) -> Plan:
    """A plan that costs the more the more it gives, as Starter and Pro do."""
    plan = Plan.objects.create(
        slug=slug, name=slug, position=9, monthly_credits=Decimal(credits), rollover_percent=percent
    )
    plan.prices.create(interval="month", amount=6 * credits)
    return plan


@contextmanager
def a_new_account() -> Iterator[User]:
    """An account that is gone afterwards with all that happened to it, so that a test can start over."""
    with transaction.atomic():
        yield User.objects.create(email="dora@example.com", date_joined=month(-2) + 3 * DAY)
        assert list(differences()) == []
        transaction.set_rollback(True)


# The credits left are the same in any order.


@dataclass(frozen=True)
class Payment:
    number: int
    start: datetime
    end: datetime
    plan: str
    upgraded: int | None

    @property
    def upgraded_at(self) -> datetime:
        """Return a moment that many eighths into its first month, so that no share is rounded."""
        eighth = (min(self.end, month_of(self.start, self.start)[1]) - self.start) / 8
        return self.start + eighth * (self.upgraded or 0)

    def reach(self, account: User, now: datetime) -> None:
        pay(account, self.start, key=f"txn_{self.number}", plan=self.plan, until=self.end, now=now)


@dataclass(frozen=True)
class Story:
    payments: list[Payment]
    order: list[int]
    percent: int
    looked: datetime | None
    used: list[tuple[datetime, int]]
    now: datetime

    def told(self, order: list[int]) -> Outcome:
        with a_new_account() as account:
            Plan.objects.exclude(slug="free").update(rollover_percent=self.percent)
            if self.looked:
                periods.open_due([account.id], self.looked)
                periods.open_due([account.id], self.now)
            for at, credits in self.used:
                use(account, credits, now=self.now, at=at)
            wanted = [payment for payment in self.payments if payment.upgraded is not None]
            for number in order:
                self.payments[number].reach(account, self.now)
                assert list(differences()) == []
                wanted = [payment for payment in wanted if not self.upgrade(account, payment)]
            assert wanted == []
            return outcome(account)

    def upgrade(self, account: User, payment: Payment) -> bool:
        return upgrade(account, payment.upgraded_at, key=f"up_{payment.number}", instead_of="starter", now=self.now)


@dataclass(frozen=True)
class Outcome:
    opened: tuple[object, ...]
    left: dict[int, Decimal]
    debt: Decimal

    @property
    def total(self) -> Decimal:
        return sum(self.left.values(), -self.debt)


def outcome(account: User) -> Outcome:
    opened = period(account)
    kinds = Grant.objects.filter(account=account, remaining__gt=0).values_list("kind")
    return Outcome(
        (opened.plan_id, opened.starts_at, opened.ends_at, opened.allocation, opened.rollover),
        dict(kinds.annotate(total=Sum("remaining"))),
        debt(account),
    )


@st.composite
def stories(draw: st.DrawFn, *, with_usage: bool = False) -> Story:
    payments: list[Payment] = []
    begin = 0
    for number in range(draw(st.integers(2, 5))):
        begin += draw(st.sampled_from([0, 0, 0, 1, 2]))
        months = draw(st.sampled_from([1, 1, 1, 1, 12]))
        plan = draw(st.sampled_from(["starter", "pro"]))
        upgraded = draw(st.none() | st.integers(0, 7)) if plan == "starter" else None
        payments.append(Payment(number, month(begin), month(begin + months), plan, upgraded))
        begin += months
    last = payments[-1]
    moments = st.integers(-40, (last.end - NOW).days).map(lambda days: NOW + days * DAY)
    now = last.start + draw(st.integers(0, 400)) * DAY
    looked = draw(st.none() | moments.map(lambda moment: min(moment, now)))
    used = draw(st.lists(st.tuples(moments, st.integers(1, 1200)), max_size=3)) if with_usage else []
    return Story(
        payments,
        draw(st.permutations(range(len(payments)))),
        draw(st.sampled_from([0, 40, 100, 150])),
        looked,
        [(min(at, now), credits) for at, credits in dict(used).items()],
        now,
    )


@in_database
@examples
@given(story=stories())
def test_the_order_in_which_payments_are_heard_of_makes_no_difference(story: Story) -> None:  # P2 M7 M8 M9
    assert story.told(story.order) == story.told(sorted(story.order))


@in_database
@examples
@given(story=stories(with_usage=True))
def test_usage_changes_what_is_left_by_no_more_than_itself_in_any_order(story: Story) -> None:  # P2 M11
    used = sum(credits for _, credits in story.used)
    assert abs(story.told(story.order).total - story.told(sorted(story.order)).total) <= used


def heard_of(account: User, used: tuple[int, int, int], *, late: bool) -> Outcome:
    """Three months of Pro, each with a request in its middle. The second is paid in time, or late: in the third."""
    for number in range(3):
        if number != 1 or not late:
            pay(account, month(number), key=f"txn_{number}")
        if used[number]:
            use(account, used[number], now=month(number) + 10 * DAY)
    if late:
        pay(account, month(1), key="txn_1", now=month(2) + 20 * DAY)
    return outcome(account)


amounts = st.one_of(st.just(0), st.integers(0, 2500))


@in_database
@examples
@given(used=st.tuples(amounts, amounts, amounts))
def test_hearing_late_of_a_payment_leaves_more_by_what_was_drawn_of_the_rollover_it_replaces(
    used: tuple[int, int, int],
) -> None:  # P2 M8
    outcomes = []
    for late in (False, True):
        with a_new_account() as account:
            outcomes.append(heard_of(account, used, late=late))
    rollover_of_the_first = max(0, 1000 - used[0] - used[1])
    assert outcomes[1].total - outcomes[0].total == min(used[2], rollover_of_the_first)
    if not used[2] and used[0] + used[1] <= 1000:
        assert outcomes[0] == outcomes[1]


# A period heard of late.


@pytest.fixture
def dora(db: None) -> User:
    return make_user("dora@example.com")


@in_database
def test_a_late_period_hands_its_allocation_on_and_displaces_what_was_handed_on_before(dora: User) -> None:  # M8 P2
    pay(dora, month(0), key="txn_0", plan="starter")
    pay(dora, month(2), key="txn_2")
    assert left(dora) == [("rollover", 250), ("allocation", 1000)]
    inserted = pay(dora, month(1), key="txn_1", now=month(2) + DAY)
    assert (inserted.starts_at, inserted.ends_at, inserted.closed_at) == (month(1), month(2), month(2) + DAY)
    assert left(dora) == [("rollover", 1000), ("allocation", 1000)]
    assert period(dora).rollover == 1000
    assert history(dora)[4:] == [
        ("forfeited", -250),
        ("allocation", 1000),
        ("rolled_out", -1000),
        ("rollover", 1000),
    ]
    assert pay(dora, month(1), key="txn_1", now=month(3)) == inserted
    assert CreditPeriod.objects.count() == 3
    assert_books_balance()


@in_database
def test_what_was_drawn_of_a_displaced_rollover_stays_drawn(dora: User) -> None:  # M8 P2
    pay(dora, month(0), key="txn_0", plan="starter")
    pay(dora, month(2), key="txn_2")
    use(dora, 100, now=month(2))
    pay(dora, month(1), key="txn_1", now=month(2) + DAY)
    opened = period(dora)
    assert (opened.rollover, opened.allocation, opened.plan_used, opened.used) == (1100, 1000, 100, 100)
    assert remaining(dora) == 2000
    assert_books_balance()


@in_database
@pytest.mark.parametrize(("percent", "carried"), [(100, 1000), (40, 400), (33, 330), (0, 0), (150, 1000)])
def test_a_late_period_hands_on_no_more_than_its_plan_allows_and_never_more_than_it_had(
    dora: User, percent: int, carried: int
) -> None:  # M8
    Plan.objects.filter(slug="pro").update(rollover_percent=percent)
    pay(dora, month(1), key="txn_1", plan="starter")
    pay(dora, month(0), key="txn_0", now=month(1))
    assert (period(dora).rollover, remaining(dora)) == (carried, 250 + carried)
    assert_books_balance()


@in_database
def test_a_period_with_another_between_it_and_the_open_one_is_forfeited(dora: User) -> None:  # M8
    pay(dora, month(1), key="txn_1", plan="starter")
    pay(dora, month(2), key="txn_2", plan="starter")
    pay(dora, month(0), key="txn_0", now=month(2))
    assert left(dora) == [("rollover", 250), ("allocation", 250)]
    assert history(dora)[-2:] == [("allocation", 1000), ("forfeited", -1000)]
    assert_books_balance()


@in_database
def test_a_late_period_pays_a_debt_with_what_it_hands_on(dora: User) -> None:  # M5
    pay(dora, month(1), key="txn_1", plan="starter")
    use(dora, 400, now=month(1))
    pay(dora, month(0), key="txn_0", now=month(1) + DAY)
    assert (debt(dora), left(dora), period(dora).plan_used) == (0, [("rollover", 850)], 400)
    assert_books_balance()


@in_database
def test_usage_is_counted_in_the_late_period_it_occurred_in(dora: User) -> None:  # M7
    pay(dora, month(0), key="txn_0")
    for days in (1, 32, 63):
        use(dora, days, now=month(2) + 5 * DAY, at=month(0) + days * DAY)
    pay(dora, month(2), key="txn_2", now=month(2) + 5 * DAY)
    pay(dora, month(1), key="txn_1", now=month(2) + 6 * DAY)
    periods_ = CreditPeriod.objects.order_by("starts_at").values_list("used", "plan_used")
    assert list(periods_) == [(1, 96), (32, 0), (63, 0)]
    assert_books_balance()


@in_database
def test_usage_before_the_first_period_gets_one_when_its_payment_is_heard_of(dora: User) -> None:  # M7
    pay(dora, month(2), key="txn_2")
    use(dora, 7, now=month(2), at=month(0) + DAY)
    assert pay(dora, month(0), key="txn_0", now=month(2)) == CreditPeriod.objects.get(used=7)
    assert_books_balance()


@in_database
def test_two_payments_of_the_same_instant_are_two_periods(dora: User) -> None:  # P2
    for key in ("a", "b", "c"):
        pay(dora, month(0), key=key)
    starts = CreditPeriod.objects.order_by("starts_at").values_list("starts_at", flat=True)
    assert list(starts) == [month(0) - 2 * TICK, month(0) - TICK, month(0)]
    # Each heard of after the first lies before it; only the one right before hands on.
    assert left(dora) == [("rollover", 1000), ("allocation", 1000)]
    upgrade(dora, month(0), plan=make_plan("max", 1500).slug, now=month(0))
    assert left(dora) == [("rollover", 1000), ("allocation", 1000), ("allocation", 500)]
    assert_books_balance()


@in_database
@pytest.mark.parametrize("order", [["a", "b"], ["b", "a"]])
def test_free_that_began_in_the_time_paid_for_comes_before_it_in_either_order(dora: User, order: list[str]) -> None:
    periods.open_due([dora.id], month(0) + 25 * DAY)  # Free from 31 May.
    for key in order:
        pay(dora, month("ab".index(key)), key=key, now=month(1))
    plans = CreditPeriod.objects.order_by("starts_at").values_list("plan_id", flat=True)
    assert list(plans) == ["free", "pro", "pro"]
    assert left(dora) == [("rollover", 1000), ("allocation", 1000)]
    assert_books_balance()


@in_database
def test_a_late_month_hands_on_to_free_too(dora: User) -> None:  # M8
    free = periods.open_free(dora.id, starts_at=month(1), now=month(1))
    pay(dora, month(0), key="txn_0", now=month(1) + DAY)
    assert (period(dora), left(dora)) == (free, [("rollover", 1000), ("allocation", 50)])
    assert_books_balance()


@in_database
@pytest.mark.parametrize("late", [False, True])
def test_a_year_heard_of_late_has_the_months_it_would_have_had(dora: User, late: bool) -> None:  # M7 M9
    if late:
        pay(dora, month(4), key="next", now=month(4))
    pay(dora, month(0), key="year", plan="starter", until=month(12), now=month(4) if late else month(0))
    if not late:
        for number in range(1, 4):
            periods.open_due([dora.id], month(number))
        pay(dora, month(4), key="next", now=month(4))
    before = month(3) + (month(4) - month(3)) / 2
    assert upgrade(dora, before, now=month(4))
    assert period(dora).rollover == 250 + 375
    starts = CreditPeriod.objects.order_by("starts_at").values_list("starts_at", flat=True)
    assert list(starts) == [month(number) for number in range(5)]
    assert_books_balance()


@in_database
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_plan_without_credits_opens_its_period_once_all_the_same(dora: User, order: tuple[int, int]) -> None:
    make_plan("none", 0)
    for number in (*order, *order):
        paid = pay(dora, month(number), key=f"txn_{number}", plan="none", now=month(1))
        assert (paid.plan_id, paid.starts_at) == ("none", month(number))
    assert CreditPeriod.objects.count() == 2
    assert remaining(dora) == 0
    assert upgrade(dora, month(1), now=month(1))
    assert left(dora) == [("allocation", 1000)]
    assert_books_balance()


# Upgrades.


@in_database
@pytest.mark.parametrize(
    ("at", "credits"),
    [
        (month(0), Decimal(750)),
        (month(0) + timedelta(days=15.5), Decimal(375)),
        (month(0) + TICK, Decimal(750)),
        (month(0) + 30 * DAY, Decimal("24.193548")),
        # 750 × 276,768 of 2,678,400,000,000 microseconds is exactly 77.5 millionths; a share rounded first loses that.
        (month(1) - timedelta(microseconds=276_768), Decimal("0.000078")),
        (month(1) - TICK, Decimal(0)),
    ],
)
def test_an_upgrade_adds_the_difference_for_the_time_that_was_left(dora: User, at: datetime, credits: Decimal) -> None:
    """M9"""
    pay(dora, month(0), key="txn_0", plan="starter")
    for _ in range(2):
        assert upgrade(dora, at, instead_of="starter", now=at)
        assert (period(dora).allocation, remaining(dora)) == (250 + credits, 250 + credits)
        assert period(dora).plan_id == "pro"
    assert_books_balance()


@in_database
@pytest.mark.parametrize("at", [month(0) - TICK, month(1)])
def test_an_upgrade_outside_of_what_was_paid_for_waits(dora: User, at: datetime) -> None:  # M9
    pay(dora, month(0), key="txn_0", plan="starter")
    assert not upgrade(dora, at, now=month(1))
    assert remaining(dora) == 250


@in_database
def test_free_is_not_upgraded(dora: User) -> None:  # M9
    assert not upgrade(dora, NOW, now=NOW)
    assert left(dora) == [("allocation", 50)]


@in_database
def test_an_upgrade_counts_the_days_that_were_paid_for_where_a_period_opened_late(dora: User) -> None:  # M9
    periods.open_due([dora.id], month(0) + 25 * DAY)  # Free from 31 May, the 21st of 31 days.
    pay(dora, month(0), key="txn_0", plan="starter", now=month(0) + 26 * DAY)
    assert upgrade(dora, month(0) + timedelta(days=15.5), now=month(0) + 26 * DAY)
    assert period(dora).allocation == 250 + 375
    assert_books_balance()


@in_database
def test_an_upgrade_at_a_months_clamped_end_counts_that_months_days(dora: User) -> None:  # M7 M9
    start = datetime.fromisoformat("2027-01-31T00:00:00Z")
    pay(dora, start, key="year", plan="starter", until=start.replace(year=2028))
    # The second month has the 28 days from 31 January's clamped end to 31 March, less three.
    second = datetime.fromisoformat("2027-02-28T00:00:00Z")
    periods.open_due([dora.id], second)
    assert upgrade(dora, second + timedelta(days=15.5), now=second + 20 * DAY)
    assert period(dora).allocation == 250 + 375
    assert_books_balance()


@in_database
def test_an_upgrade_pays_a_debt_first(dora: User) -> None:  # M5 M9
    pay(dora, month(0), key="txn_0", plan="starter")
    use(dora, 400, now=month(0))
    assert upgrade(dora, month(0), now=month(0))
    assert (debt(dora), remaining(dora), period(dora).plan_used) == (0, 600, 400)
    assert_books_balance()


@in_database
def test_an_upgrade_heard_of_after_its_period_closed_rolls_over(dora: User) -> None:  # M8 M9
    pay(dora, month(0), key="txn_0", plan="starter")
    pay(dora, month(1), key="txn_1", plan="starter")
    Plan.objects.filter(slug="pro").update(rollover_percent=40)
    for _ in range(2):
        assert upgrade(dora, month(0) + timedelta(days=15.5), instead_of="starter", now=month(1) + DAY)
        assert (period(dora).rollover, period(dora).plan_id) == (250 + 150, "starter")
    assert history(dora)[-4:] == [("allocation", 375), ("rolled_out", -150), ("forfeited", -225), ("rollover", 150)]
    assert_books_balance()


@in_database
def test_an_upgrade_of_a_year_reaches_the_months_that_have_opened_since_and_those_to_come(dora: User) -> None:  # M9
    pay(dora, month(0), key="year", plan="starter", until=month(12))
    for number in (1, 2):
        periods.open_due([dora.id], month(number))
    for number in (2, 3, 4):
        now = month(number) + DAY
        assert upgrade(dora, month(1) + 15 * DAY, instead_of="starter", now=now)
        opened = period(dora)
        assert (opened.plan_id, opened.allocation) == ("pro", 1000)
    allocations = CreditPeriod.objects.order_by("starts_at").values_list("allocation", flat=True)
    assert list(allocations) == [250, 250 + 375, 1000, 1000, 1000]
    assert_books_balance()


@in_database
def test_an_upgrade_in_the_last_moment_of_a_years_month_reaches_the_next_one(dora: User) -> None:  # M9
    pay(dora, month(0), key="year", plan="starter", until=month(12))
    assert upgrade(dora, month(1) - TICK, now=month(1) - TICK)
    periods.open_due([dora.id], month(1))
    assert period(dora).allocation == 1000


@in_database
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("closed", [False, True])
def test_two_upgrades_add_the_same_in_either_order(dora: User, order: tuple[int, int], closed: bool) -> None:  # M9 P2
    make_plan("max", 3100)
    pay(dora, month(0), key="txn_0", plan="starter")
    if closed:
        pay(dora, month(1), key="txn_1")
    steps = [("starter", "pro", 1), ("pro", "max", 11)]
    for number in (*order, *order):
        instead_of, plan, day = steps[number]
        at = month(0) + day * DAY
        assert upgrade(dora, at, key=f"up_{number}", plan=plan, instead_of=instead_of, now=month(1) - TICK)
    assert CreditPeriod.objects.earliest("starts_at").plan_id == "max"
    assert CreditPeriod.objects.earliest("starts_at").allocation == 250 + Decimal("725.806452") + Decimal("1354.83871")
    assert_books_balance()


@in_database
def test_a_downgrade_gives_and_takes_nothing(dora: User) -> None:  # M9
    pay(dora, month(0), key="txn_0")
    for instead_of in (None, "pro"):
        assert upgrade(dora, month(0) + DAY, plan="starter", instead_of=instead_of, now=month(0) + DAY)
    assert (period(dora).plan_id, left(dora)) == ("pro", [("allocation", 1000)])
    assert_books_balance()


@in_database
def test_a_downgrade_heard_of_before_the_upgrade_it_follows_raises_no_plan(dora: User) -> None:  # M9 P2
    make_plan("max", 3100)
    pay(dora, month(0), key="txn_0", plan="starter")
    upgrade(dora, month(0) + 2 * DAY, key="down", plan="pro", instead_of="max", now=month(0) + 2 * DAY)
    assert (period(dora).plan_id, left(dora)) == ("starter", [("allocation", 250)])


@in_database
def test_going_down_and_up_again_gives_no_more_than_the_larger_plan(dora: User) -> None:  # M9
    pay(dora, month(0), key="txn_0", plan="starter")
    for number in range(5):
        at = month(0) + number * DAY
        upgrade(dora, at, key=f"up_{number}", instead_of="starter", now=at)
        upgrade(dora, at, key=f"down_{number}", plan="starter", instead_of="pro", now=at)
    assert left(dora) == [("allocation", 250), ("allocation", 750)]
    grants.void(Grant.objects.earliest("id"), Decimal(250), source_key="adj", reason="refund", now=month(0) + 6 * DAY)
    upgrade(dora, month(0), key="up_9", instead_of="starter", now=month(0) + 6 * DAY)
    assert remaining(dora) == 750
    assert_books_balance()


@in_database
def test_an_upgrade_belongs_to_the_payment_that_began_last(dora: User) -> None:  # M9
    pay(dora, month(0), key="txn_0", plan="starter")
    half = month(0) + timedelta(days=15.5)
    pay(dora, half, key="txn_1", plan="starter")
    assert upgrade(dora, half, now=half)
    assert (period(dora).plan_id, period(dora).allocation, period(dora).rollover) == ("pro", 1000, 250)
    assert_books_balance()


# Sixteen at once.


@threads
def test_a_late_payment_reported_sixteen_times_at_once_is_inserted_once() -> None:  # P2 M7
    account = User.objects.create(email="dora@example.com", date_joined=NOW)
    pay(account, month(0), key="txn_0")
    pay(account, month(2), key="txn_2")

    def reported() -> int:
        return pay(account, month(1), key="txn_1", now=month(2)).pk

    assert len(set(at_once([reported] * 16))) == 1
    assert CreditPeriod.objects.count() == 3
    assert left(account) == [("rollover", 1000), ("allocation", 1000)]
    assert_books_balance()


@threads
@pytest.mark.parametrize("closed", [False, True])
def test_an_upgrade_reported_sixteen_times_at_once_gives_once(closed: bool) -> None:  # P2 M9
    account = User.objects.create(email="dora@example.com", date_joined=NOW)
    pay(account, month(0), key="txn_0", plan="starter")
    if closed:
        pay(account, month(1), key="txn_1", plan="starter")

    # Gives nothing but the plan: sixteen that had to write that would follow each other at the period's row already.
    assert upgrade(account, month(1) - TICK, key="plan", now=month(0))

    def reported() -> bool:
        return upgrade(account, month(0) + timedelta(days=15.5), instead_of="starter", now=month(0) + 20 * DAY)

    assert at_once([reported] * 16) == [True] * 16
    assert remaining(account) == 250 + 375 + (250 if closed else 0)
    assert_books_balance()


@threads
def test_credits_restored_sixteen_times_at_once_come_back_once() -> None:  # P2 P4
    account = User.objects.create(email="dora@example.com", date_joined=NOW)
    bought = grants.grant(account.id, Decimal(137), kind=Grant.Kind.PURCHASED, source_key="txn", now=NOW)
    for key in ("adj_1", "adj_2"):
        grants.void(bought, Decimal(37), source_key=key, reason="chargeback", now=NOW)

    def reversed_() -> int:
        return grants.restore(bought, Decimal(37), source_key="adj_3", reason="reversed", now=NOW).pk

    assert len(set(at_once([reversed_] * 16))) == 1
    assert left(account) == [("allocation", 50), ("purchased", 100)]
    assert_books_balance()


@threads
def test_of_two_reversals_of_the_same_credits_at_once_one_is_refused() -> None:  # P4
    account = User.objects.create(email="dora@example.com", date_joined=NOW)
    bought = grants.grant(account.id, Decimal(137), kind=Grant.Kind.PURCHASED, source_key="txn", now=NOW)
    grants.void(bought, Decimal(37), source_key="adj", reason="chargeback", now=NOW)

    def reversed_by(key: str) -> Callable[[], bool]:
        def run() -> bool:
            try:
                grants.restore(bought, Decimal(37), source_key=key, reason="reversed", now=NOW)
            except grants.NothingToRestore:
                return False
            return True

        return run

    assert sorted(at_once([reversed_by("a"), reversed_by("b")])) == [False, True]
    assert left(account) == [("allocation", 50), ("purchased", 137)]
    assert LedgerEntry.objects.filter(kind=LedgerEntry.Kind.RESTORED).count() == 1
    assert_books_balance()
