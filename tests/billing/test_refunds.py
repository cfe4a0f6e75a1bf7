"""Money that went back takes credits with it, and brings them back when it returns."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations

import pytest

from billing import fulfilment, refunds, schedule
from billing.models import Adjustment, PaddleEvent, Transaction
from credits.ledger import grants, periods
from credits.models import Grant, LedgerEntry
from sidekick.accounts.models import User
from tests.billing.bodies import (
    APRIL,
    CREDIT,
    LINE,
    MARCH,
    MAY,
    PRO,
    STARTER,
    SUBSCRIPTION,
    TRANSACTION,
    UPGRADED,
    YEAR_OF_PRO,
    YEAR_OF_STARTER,
    Body,
    buys,
    hear,
    line,
    moment,
    name,
    payment,
    refund,
    renewal,
    subscription,
    transaction,
    upgrade,
)
from tests.credits.books import assert_books_balance, debt, left, period, remaining, use

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sold")]
BOUGHT = 3729  # The price of 137 credits, in cents with tax.
NOW = moment("2026-03-20T00:00:00Z")


@pytest.fixture
def buyer(alice: User) -> User:
    """Has bought 137 credits and holds Free's 50 besides."""
    buys(alice)
    hear("transaction.completed", transaction(), now=NOW)
    return alice


@pytest.fixture
def subscriber(alice: User) -> User:
    """Has paid for Starter from March to April."""
    buys(alice, transaction_id=name("txn", 1), price=STARTER, quantity=1)
    hear("transaction.completed", renewal(1, STARTER, MARCH, APRIL), MARCH)
    return alice


def told(data: Body, second: int) -> None:
    hear("adjustment.updated", data, f"2026-07-18T10:00:{second:02}Z", now=NOW)


def purchased(account: User) -> Decimal:
    return sum((credits for kind, credits in left(account) if kind == "purchased"), Decimal(0))


@pytest.mark.parametrize(
    ("money", "taken"),
    [
        (1089, 40),  # 137 × 1089 / 3729 is 40.008.
        (1, 0),
        (27, 0),
        (28, 1),  # 27.2 cents are a credit.
        (BOUGHT - 1, 136),
        (BOUGHT, 137),
        (BOUGHT + 1, 137),
        (10**9, 137),
        (0, 0),
        (-500, 0),
    ],
)
@pytest.mark.parametrize("of_a_line", [True, False])
def test_of_a_part_of_the_money_whole_credits_are_taken(
    buyer: User, money: int, taken: int, of_a_line: bool
) -> None:  # P4
    told(refund(1, money, line_id=LINE if of_a_line else None), 1)
    assert purchased(buyer) == 137 - taken
    assert_books_balance()


@pytest.mark.parametrize("of_a_line", [True, False])
def test_two_parts_are_rounded_as_one(buyer: User, of_a_line: bool) -> None:  # P4
    part = LINE if of_a_line else None
    told(refund(1, 40, line_id=part), 1)
    assert purchased(buyer) == 136
    told(refund(2, 15, line_id=part), 2)
    # 137 × 55 / 3729 is 2.02, while 40 alone are 1.47 and 15 alone 0.55.
    assert purchased(buyer) == 135
    told(refund(3, BOUGHT - 55, line_id=part), 3)
    assert purchased(buyer) == 0
    assert_books_balance()


def test_parts_that_name_no_line_are_shared_out_as_one(alice: User) -> None:  # P4
    buys(alice, transaction_id=name("txn", 1))
    lines = [line(CREDIT, 100, 100), line(CREDIT, 50, 50, number=2)]
    hear("transaction.completed", payment(1, *lines), now=NOW)
    for number, money in enumerate((74, 75, 1)):
        told(refund(number, money, of=name("txn", 1), line_id=None), number)
        assert_books_balance()
    assert purchased(alice) == 0


def test_each_line_loses_what_it_got_back(alice: User) -> None:  # P4
    buys(alice, transaction_id=name("txn", 1))
    hear("transaction.completed", payment(1, line(CREDIT, 10, 250), line(CREDIT, 20, 500, number=2)), now=NOW)
    told(refund(1, 250, of=name("txn", 1), line_id=name("txnitm", 2)), 1)
    assert left(alice)[1:] == [("purchased", 10), ("purchased", 10)]
    told(refund(2, 9999, of=name("txn", 1), line_id=name("txnitm", 77)), 2)
    assert purchased(alice) == 20


@pytest.mark.parametrize("status", ["pending_approval", "rejected", "", "pondered", "Approved"])
def test_a_refund_that_is_not_approved_takes_nothing(buyer: User, status: str) -> None:  # P4
    told(refund(1, BOUGHT, status=status), 1)
    assert purchased(buyer) == 137


def test_a_refund_takes_when_it_is_approved_and_not_before(buyer: User) -> None:  # P4
    told(refund(1, 1089, status="pending_approval"), 1)
    assert purchased(buyer) == 137
    told(refund(1, 1089), 2)
    assert purchased(buyer) == 97
    told(refund(1, 1089), 3)
    assert purchased(buyer) == 97
    assert_books_balance()


@pytest.mark.parametrize("action", ["credit", "credit_reverse", "", "chargeback_lost", "refunded", "REFUND"])
def test_what_is_no_money_that_went_back_takes_nothing(buyer: User, action: str) -> None:  # P2 P4
    told(refund(1, BOUGHT, action=action), 1)
    assert purchased(buyer) == 137
    assert not refunds.buying_blocked(buyer.id)


def test_a_refund_may_be_heard_of_before_its_payment(alice: User) -> None:  # P2 P4
    buys(alice)
    told(refund(1, 1089), 1)
    assert not Grant.objects.filter(account=alice).exists()
    hear("transaction.paid", transaction(status="paid"), MARCH, now=NOW)
    hear("transaction.completed", transaction(), now=NOW)
    assert purchased(alice) == 97
    assert_books_balance()


def test_a_refund_of_what_is_nobodys_is_followed_once_it_is_somebodys(alice: User) -> None:  # P2 P4
    hear("transaction.completed", transaction(), now=NOW)
    told(refund(1, 1089), 1)
    buys(alice)
    hear("transaction.updated", transaction(), APRIL, now=NOW)
    assert purchased(alice) == 97


def test_credits_that_were_spent_already_become_debt(buyer: User) -> None:  # P4 M5
    use(buyer, 150, now=NOW)
    told(refund(1, BOUGHT), 1)
    assert (remaining(buyer), debt(buyer)) == (0, 100)
    assert_books_balance()


def test_spent_credits_that_go_back_are_paid_from_others_first(buyer: User) -> None:  # P4
    use(buyer, 100, now=NOW)
    buys(buyer, transaction_id=name("txn", 2))
    hear("transaction.completed", payment(2, line(CREDIT, 30, number=2)), now=NOW)
    told(refund(1, BOUGHT), 1)
    assert (remaining(buyer), debt(buyer)) == (0, 20)
    assert_books_balance()


# Plans


def test_a_plan_refunded_in_full_loses_what_is_left_of_its_period(subscriber: User) -> None:  # P4
    use(subscriber, 100, now=NOW)
    told(refund(1, 1633, of=name("txn", 1), line_id=name("txnitm", 1)), 1)
    assert (remaining(subscriber), debt(subscriber), period(subscriber).plan_id) == (0, 0, "starter")
    assert_books_balance()


def test_a_plan_refunded_in_parts_loses_it_with_the_last(subscriber: User) -> None:  # P4
    told(refund(1, 1000, of=name("txn", 1), line_id=None), 1)
    told(refund(2, 632, of=name("txn", 1), line_id=name("txnitm", 1)), 2)
    assert remaining(subscriber) == 250
    told(refund(3, 1, of=name("txn", 1), line_id=None), 3)
    assert remaining(subscriber) == 0


@pytest.mark.parametrize("late", [False, True], ids=["before the renewal", "after it"])
def test_a_plan_refunded_in_full_rolls_nothing_over_whenever_it_is_heard(subscriber: User, late: bool) -> None:
    # P2 P4
    if late:
        hear("transaction.completed", renewal(2, STARTER, APRIL, MAY), APRIL)
    told(refund(1, 1633, of=name("txn", 1), line_id=None), 1)
    if not late:
        hear("transaction.completed", renewal(2, STARTER, APRIL, MAY), APRIL)
    assert left(subscriber) == [("allocation", 250)]
    assert_books_balance()


def test_what_rolled_over_from_a_disputed_plan_comes_back_with_the_money(subscriber: User) -> None:  # P4
    use(subscriber, 100, now=NOW)
    hear("transaction.completed", renewal(2, STARTER, APRIL, MAY), APRIL)
    of = name("txn", 1)
    told(refund(1, 1633, of=of, line_id=None, action="chargeback"), 1)
    assert left(subscriber) == [("allocation", 250)]
    told(refund(2, 1633, of=of, line_id=None, action="chargeback_reverse"), 2)
    assert left(subscriber) == [("rollover", 150), ("allocation", 250)]
    assert_books_balance()


def test_of_what_rolled_over_only_the_refunded_payments_part_is_taken(subscriber: User) -> None:  # P4 M9
    hear("transaction.completed", upgrade(2, UPGRADED, APRIL), UPGRADED)
    grown = Grant.objects.get(source_key__startswith=f"paddle:{name('txn', 2)}").amount
    hear("transaction.completed", renewal(3, PRO, APRIL, MAY), APRIL)
    told(refund(1, 1780, of=name("txn", 2), line_id=None), 1)
    assert left(subscriber) == [("rollover", 250), ("allocation", 1000)]
    assert 0 < grown < 750
    assert_books_balance()


def test_a_year_refunded_in_full_loses_the_month_it_is_in_and_those_to_come(alice: User) -> None:  # P4 M7
    buys(alice, transaction_id=name("txn", 1), price=YEAR_OF_PRO, quantity=1)
    year = payment(1, line(YEAR_OF_PRO), span=(MARCH, "2027-03-16T09:20:11.482000Z"))
    hear("transaction.completed", year, MARCH)
    in_may, in_july = moment(MAY, days=3), moment(MAY, days=70)
    periods.open_due([alice.id], in_may)
    assert left(alice) == [("rollover", 1000), ("allocation", 1000)]
    back = refund(1, 1633, of=name("txn", 1), line_id=None, action="chargeback")
    hear("adjustment.created", back, now=in_may)
    assert left(alice) == []
    periods.open_due([alice.id], in_july)
    assert left(alice) == []
    hear("adjustment.created", back | {"id": name("adj", 2), "action": "chargeback_reverse"}, MAY, now=in_july)
    assert left(alice)
    periods.open_due([alice.id], in_july)
    assert ("allocation", 1000) in left(alice)
    assert period(alice).paid_until == moment("2027-03-16T09:20:11.482000Z")
    assert_books_balance()


def test_a_year_won_back_after_its_month_ended_goes_on_at_once(alice: User) -> None:  # P4 M7
    """Not only when the clock next comes by: who is told of it looks now."""
    buys(alice, transaction_id=name("txn", 1), price=YEAR_OF_PRO, quantity=1)
    end = "2027-03-16T09:20:11.482000Z"
    hear("transaction.completed", payment(1, line(YEAR_OF_PRO), span=(MARCH, end)), MARCH)
    lost = refund(1, 1633, of=name("txn", 1), line_id=None, action="chargeback")
    hear("adjustment.created", lost, now=NOW)
    won = lost | {"id": name("adj", 2), "action": "chargeback_reverse"}
    hear("adjustment.created", won, MAY, now=moment(MAY, days=3))
    assert (period(alice).starts_at, period(alice).paid_until) == (moment(MAY), moment(end))
    assert left(alice) == [("rollover", 1000), ("allocation", 1000)]
    assert_books_balance()


def year_with_an_upgrade(account: User) -> None:
    """A year of Starter from March, raised to Pro on the 30th."""
    buys(account, transaction_id=name("txn", 1), price=YEAR_OF_STARTER, quantity=1)
    end = "2027-03-16T09:20:11.482000Z"
    base = payment(1, line(YEAR_OF_STARTER), span=(MARCH, end), subscription_id=SUBSCRIPTION)
    hear("transaction.completed", base, MARCH)
    hear("transaction.completed", upgrade(2, UPGRADED, end, old=YEAR_OF_STARTER, new=YEAR_OF_PRO), UPGRADED)


def test_an_upgrade_of_a_year_that_is_refunded_leaves_the_year_paid(alice: User) -> None:  # P4 M9
    year_with_an_upgrade(alice)
    told(refund(1, 1780, of=name("txn", 2), line_id=None), 15)
    assert left(alice) == [("allocation", 250)]
    assert period(alice).paid_until == moment("2027-03-16T09:20:11.482000Z")
    periods.open_due([alice.id], moment(MAY, days=3))
    assert period(alice).starts_at == moment(MAY)
    assert_books_balance()


def test_a_year_refunded_in_full_is_not_revived_by_what_becomes_of_its_upgrade(alice: User) -> None:  # P2 P4
    year_with_an_upgrade(alice)
    told(refund(1, 1633, of=name("txn", 1), line_id=None), 15)
    ended = period(alice).paid_until
    told(refund(2, 1780, of=name("txn", 2), line_id=None, status="pending_approval"), 16)
    assert period(alice).paid_until == ended == moment(APRIL)
    periods.open_due([alice.id], moment(MAY, days=3))
    assert period(alice).starts_at == moment(MARCH)
    assert_books_balance()


def test_of_a_refunded_years_later_month_the_upgrades_share_stays(alice: User) -> None:  # P4
    year_with_an_upgrade(alice)
    in_may = moment(MAY, days=3)
    periods.open_due([alice.id], in_may)
    hear("adjustment.created", refund(1, 1633, of=name("txn", 1), line_id=None), now=in_may)
    assert ("allocation", 750) in left(alice)
    assert_books_balance()


def test_tax_alone_that_goes_back_takes_no_credits(buyer: User) -> None:  # P4
    back = refund(1, 304)
    back["items"][0]["type"] = "tax"
    told(back, 1)
    assert purchased(buyer) == 137


def test_after_its_tax_all_the_rest_of_the_money_takes_all_credits(buyer: User) -> None:  # P4
    back = refund(1, 304)
    back["items"][0]["type"] = "tax"
    told(back, 1)
    told(refund(2, 3425), 2)
    assert purchased(buyer) == 0
    assert_books_balance()


def test_tax_that_goes_back_after_a_part_takes_no_more(buyer: User) -> None:  # P4
    told(refund(1, 1864), 1)
    part = purchased(buyer)
    tax = refund(2, 152)
    tax["items"][0]["type"] = "tax"
    told(tax, 2)
    assert purchased(buyer) == part == 137 - 68
    assert_books_balance()


@pytest.mark.parametrize("month", [0, 1, 2])
@pytest.mark.parametrize("first", ["refunded", "canceled"])
def test_a_year_refunded_and_canceled_leaves_nothing_whichever_is_first(alice: User, month: int, first: str) -> None:
    # P2 P4
    buys(alice, transaction_id=name("txn", 1), price=YEAR_OF_PRO, quantity=1)
    year = payment(1, line(YEAR_OF_PRO), span=(MARCH, "2027-03-16T09:20:11.482000Z"), subscription_id=SUBSCRIPTION)
    hear("transaction.completed", year, MARCH)
    now = moment((MARCH, APRIL, MAY)[month], days=3)
    periods.open_due([alice.id], now)
    over = subscription(YEAR_OF_PRO, status="canceled", canceled_at=now.isoformat())
    for what in (first, "canceled", "refunded"):
        if what == "canceled":
            hear("subscription.canceled", over, now.isoformat(), now=now)
            schedule.end_plans(now)
        else:
            hear("adjustment.created", refund(1, 1633, of=name("txn", 1), line_id=None), now=now)
    assert left(alice) == [("allocation", 50)]
    assert_books_balance()


@pytest.mark.parametrize(("of", "money", "kept"), [(1, 1633, "upgrade"), (2, 1780, "month")])
def test_of_what_rolled_over_in_parts_no_more_is_taken_than_was_given(
    subscriber: User, of: int, money: int, kept: str
) -> None:  # P2 P4
    """The upgrade is heard of after the renewal, so it rolled over by itself."""
    hear("transaction.completed", renewal(3, PRO, APRIL, MAY), APRIL)
    hear("transaction.completed", upgrade(2, UPGRADED, APRIL), APRIL)
    grown = Grant.objects.get(source_key=f"paddle:{name('txn', 2)}:0").amount
    hear("adjustment.created", refund(1, money, of=name("txn", of), line_id=None), now=moment(APRIL, days=1))
    assert remaining(subscriber) == 1000 + (grown if kept == "upgrade" else 250)
    assert_books_balance()


def test_a_refunded_year_is_not_opened_anew_by_an_upgrade_heard_later(alice: User) -> None:  # P2 P4
    end = "2027-03-16T09:20:11.482000Z"
    buys(alice, transaction_id=name("txn", 1), price=YEAR_OF_STARTER, quantity=1)
    base = payment(1, line(YEAR_OF_STARTER), span=(MARCH, end), subscription_id=SUBSCRIPTION)
    hear("transaction.completed", base, MARCH)
    told(refund(1, 1633, of=name("txn", 1), line_id=None), 3)
    hear("transaction.completed", upgrade(2, UPGRADED, end, old=YEAR_OF_STARTER, new=YEAR_OF_PRO), UPGRADED)
    assert period(alice).starts_at == moment(MARCH)
    assert period(alice).paid_until == moment(APRIL)
    assert 0 < remaining(alice) < 750
    assert_books_balance()


def test_what_rolled_over_into_a_refunded_years_first_month_stays(subscriber: User) -> None:  # P4
    buys(subscriber, transaction_id=name("txn", 2), price=YEAR_OF_PRO, quantity=1)
    year = payment(2, line(YEAR_OF_PRO, number=2), span=(APRIL, "2027-04-16T09:20:11.482000Z"))
    hear("transaction.completed", year, APRIL)
    told(refund(1, 1633, of=name("txn", 2), line_id=None), 1)
    assert left(subscriber) == [("rollover", 250)]
    assert_books_balance()


def test_a_trial_that_cost_nothing_is_not_refunded_by_a_refund_of_nothing(alice: User) -> None:  # P4
    buys(alice, transaction_id=name("txn", 1), price=STARTER, quantity=1)
    hear("transaction.completed", payment(1, line(STARTER, total=0), span=(MARCH, APRIL)), MARCH)
    told(refund(1, 0, of=name("txn", 1), line_id=None), 1)
    told(refund(2, 5, of=name("txn", 1), line_id=None), 2)
    assert remaining(alice) == 250


def test_an_upgrade_refunded_in_full_loses_what_it_added(subscriber: User) -> None:  # P4 M9
    data = upgrade(2, UPGRADED, APRIL)
    hear("transaction.completed", data, UPGRADED)
    grown = remaining(subscriber)
    assert grown > 250
    hear("adjustment.created", refund(1, 1780, of=name("txn", 2), line_id=None), now=moment(UPGRADED, days=1))
    assert remaining(subscriber) == 250
    assert_books_balance()


@pytest.mark.parametrize("spent", [0, 30, 120])
def test_a_payment_of_a_plan_and_credits_in_one_loses_both_and_no_more(alice: User, spent: int) -> None:  # P4
    """Usage that the voided credits had paid for is charged to the plan's, which then has less left to lose."""
    buys(alice, transaction_id=name("txn", 1))
    hear("transaction.completed", payment(9, line(CREDIT, 40), subscription_id=SUBSCRIPTION, origin="api"), now=NOW)
    buys(alice, transaction_id=name("txn", 9))
    hear("transaction.updated", payment(9, line(CREDIT, 40), subscription_id=SUBSCRIPTION), MAY, now=NOW)
    use(alice, 50 + spent, now=NOW)
    lines = [line(CREDIT, 100, 2500, number=2), line(STARTER, number=3)]
    hear("transaction.completed", payment(1, *lines, span=(MARCH, APRIL)), MARCH, now=NOW)
    before = debt(alice), remaining(alice)
    told(refund(1, 4133, of=name("txn", 1), line_id=None), 1)
    assert_books_balance()
    assert debt(alice) == 0, before
    assert not Grant.objects.filter(source_key__startswith=f"paddle:{name('txn', 1)}", remaining__gt=0).exists()


# Chargebacks


def dispute(number: int, action: str = "chargeback", status: str = "approved", money: int = BOUGHT) -> Body:
    return refund(number, money, action=action, status=status)


@pytest.mark.parametrize("action", ["chargeback", "chargeback_warning"])
def test_a_chargeback_takes_like_a_refund_and_its_reversal_restores(buyer: User, action: str) -> None:  # P4
    told(dispute(1, action), 1)
    assert (purchased(buyer), refunds.buying_blocked(buyer.id)) == (0, True)
    told(dispute(1, action, "reversed"), 2)
    assert (purchased(buyer), refunds.buying_blocked(buyer.id)) == (0, True)
    told(dispute(2, f"{action}_reverse"), 3)
    assert (purchased(buyer), refunds.buying_blocked(buyer.id)) == (137, False)
    assert_books_balance()


def test_a_refund_blocks_nothing_and_a_dispute_only_its_own_account(buyer: User, charlie: User) -> None:  # P4
    told(refund(1, BOUGHT), 1)
    assert not refunds.buying_blocked(buyer.id)
    told(dispute(2), 2)
    assert refunds.buying_blocked(buyer.id)
    assert not refunds.buying_blocked(charlie.id)


def test_the_reversal_of_one_dispute_does_not_unblock_another(buyer: User) -> None:  # P4
    buys(buyer, transaction_id=name("txn", 2))
    hear("transaction.completed", payment(2, line(CREDIT, 30, number=2)), now=NOW)
    told(dispute(1), 1)
    told(refund(2, 1633, of=name("txn", 2), line_id=None, action="chargeback"), 2)
    told(dispute(3, "chargeback_reverse", money=9999), 3)
    assert refunds.buying_blocked(buyer.id)
    assert purchased(buyer) == 137


@pytest.mark.parametrize("status", ["pending_approval", "rejected"])
def test_a_dispute_that_is_not_approved_is_none(buyer: User, status: str) -> None:  # P4
    told(dispute(1, status=status), 1)
    assert not refunds.buying_blocked(buyer.id)
    told(dispute(2), 2)
    told(dispute(3, "chargeback_reverse", status), 3)
    assert (purchased(buyer), refunds.buying_blocked(buyer.id)) == (0, True)


def test_disputed_again_after_a_reversal_takes_again(buyer: User) -> None:  # P4
    seen = []
    for number in range(6):
        told(dispute(number, "chargeback_reverse" if number % 2 else "chargeback"), number)
        seen.append(purchased(buyer))
    assert seen == [0, 137, 0, 137, 0, 137]
    assert_books_balance()


def test_what_was_restored_pays_a_debt_first(buyer: User) -> None:  # P4 M5
    use(buyer, 100, now=NOW)
    told(dispute(1), 1)
    assert debt(buyer) == 50
    told(dispute(2, "chargeback_reverse"), 2)
    assert (debt(buyer), remaining(buyer)) == (0, 87)
    assert_books_balance()


DISPUTED = [
    refund(1, 1089),
    dispute(2, "chargeback", "reversed", 1500),
    dispute(3, "chargeback_reverse", money=1500),
    dispute(4, "chargeback", money=300),
]


@pytest.mark.parametrize("order", list(permutations(range(5))), ids=str)
def test_in_every_order_the_same_is_taken(alice: User, order: tuple[int, ...]) -> None:  # P2 P4
    buys(alice)
    for number in order:
        if number == 4:
            hear("transaction.completed", transaction(), now=NOW)
        else:
            told(DISPUTED[number], number)
    assert purchased(alice) == 137 - 137 * 1389 // BOUGHT
    assert refunds.buying_blocked(alice.id)


def test_a_plan_disputed_and_won_in_its_period_gets_back_what_it_lost(subscriber: User) -> None:  # P4
    use(subscriber, 100, now=NOW)
    own: Body = {"of": name("txn", 1), "line_id": None}
    told(refund(1, 1633, action="chargeback", **own), 1)
    assert remaining(subscriber) == 0
    told(refund(2, 1633, action="chargeback_reverse", **own), 2)
    assert (remaining(subscriber), period(subscriber).allocation) == (150, 250)
    assert_books_balance()


def test_a_plan_disputed_and_won_after_its_period_stays_as_it_is(subscriber: User) -> None:  # P4
    own: Body = {"of": name("txn", 1), "line_id": None}
    told(refund(1, 1633, action="chargeback", **own), 1)
    hear("transaction.completed", renewal(2, PRO, APRIL, MAY), APRIL)
    hear("adjustment.created", refund(2, 1633, action="chargeback_reverse", **own), MAY, now=moment(APRIL, days=2))
    assert left(subscriber) == [("allocation", 1000)]
    assert not refunds.buying_blocked(subscriber.id)
    assert_books_balance()


# Voids by operators


def test_what_an_operator_took_is_not_given_back_by_a_reversal(buyer: User) -> None:  # P4 O1
    grant = Grant.objects.get(kind=Grant.Kind.PURCHASED)
    grants.void(grant, Decimal(100), source_key="admin:1", reason="Fraud", now=NOW)
    told(dispute(1), 1)
    assert purchased(buyer) == 0
    told(dispute(2, "chargeback_reverse"), 2)
    assert purchased(buyer) == 37
    assert_books_balance()


def test_what_an_operator_gave_back_is_not_given_back_again(buyer: User) -> None:  # P4 O1
    grant = Grant.objects.get(kind=Grant.Kind.PURCHASED)
    told(dispute(1), 1)
    grants.restore(grant, Decimal(100), source_key="admin:1", reason="Goodwill", now=NOW)
    told(dispute(1), 2)
    assert purchased(buyer) == 100
    told(dispute(2, "chargeback_reverse"), 3)
    assert purchased(buyer) == 137
    assert_books_balance()


def test_refunds_leave_a_line_each_that_says_why_and_repeating_leaves_none(buyer: User) -> None:  # P4 O1
    told(refund(1, 1089), 1)
    for _ in range(3):
        fulfilment.fulfil(buyer.id, [TRANSACTION], now=NOW)
    [entry] = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.VOIDED)
    assert (entry.amount, entry.reason) == (-40, f"Paddle {TRANSACTION}: 40 credits' money went back.")
    assert PaddleEvent.objects.filter(state="failed").count() == 0
    assert Adjustment.objects.count() == Transaction.objects.count() == 1


def test_a_payment_whose_name_begins_like_another_is_left_alone(alice: User) -> None:  # P4
    for transaction_id, start, end in ((TRANSACTION, MARCH, APRIL), (TRANSACTION + "b", APRIL, MAY)):
        buys(alice, transaction_id=transaction_id, price=STARTER, quantity=1)
        hear("transaction.completed", renewal(1, STARTER, start, end, id=transaction_id), start)
    hear("adjustment.created", refund(1, 1633, of=TRANSACTION + "b", line_id=None), now=moment(APRIL, days=1))
    assert left(alice) == [("rollover", 250)]
    hear("adjustment.created", refund(2, 1633, line_id=None), now=moment(APRIL, days=1))
    assert left(alice) == []


def test_money_that_went_back_of_what_was_free_takes_it(alice: User) -> None:  # P2 P4
    buys(alice, transaction_id=name("txn", 1))
    hear("transaction.completed", payment(1, line(CREDIT, 10, 0), line(CREDIT, 20, 500, number=2)), now=NOW)
    told(refund(1, 5, of=name("txn", 1), line_id=name("txnitm", 1)), 1)
    assert purchased(alice) == 20
