"""Owners of payments. Nothing that a buyer's browser can write decides them."""

from __future__ import annotations

import uuid
from itertools import permutations
from typing import Any

import pytest

from billing import ownership
from billing.models import Customer, PaddleEvent, Subscription, Transaction
from credits.models import CreditPeriod, Grant
from sidekick.accounts.models import User
from tests.billing.bodies import (
    APRIL,
    CREDIT,
    CUSTOMER,
    MARCH,
    MAY,
    STARTER,
    SUBSCRIPTION,
    TRANSACTION,
    Body,
    buys,
    customer,
    event,
    hear,
    line,
    moment,
    name,
    paid_by_a_stranger,
    payment,
    post,
    receive,
    renewal,
    subscription,
    transaction,
)
from tests.conftest import make_user
from tests.credits.books import assert_books_balance, period

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sold")]
OTHER_CUSTOMER = name("ctm", 2)


def bought(account: User) -> int:
    return sum(int(grant.amount) for grant in Grant.objects.filter(account=account, kind=Grant.Kind.PURCHASED))


def owner(transaction_id: str = TRANSACTION) -> uuid.UUID | None:
    return Transaction.objects.values_list("account_id", flat=True).get(id=transaction_id)


def assert_unclaimed(*bystanders: User) -> None:
    """Nobody's, given to nobody, and waiting for an operator."""
    assert Transaction.objects.unclaimed().count() == Transaction.objects.count() == 1
    assert not Grant.objects.filter(account__in=bystanders).exists()
    assert not CreditPeriod.objects.filter(account__in=bystanders).exists()
    assert not Subscription.objects.exclude(account=None).exists()
    assert_books_balance()


def of_account(account: User, **changes: object) -> Body:
    """A payment that names the account, made by us but for no purchase of ours."""
    return transaction(custom_data={"account_id": str(account.id)}) | changes


def test_a_payment_for_our_purchase_is_of_who_bought(alice: User, charlie: User) -> None:  # B5 B10
    buys(alice)
    hear("transaction.completed", of_account(charlie))
    assert (owner(), bought(alice), bought(charlie)) == (alice.id, 137, 0)
    assert_books_balance()


def test_a_payment_whose_making_was_never_answered_finds_its_purchase(alice: User) -> None:  # B5
    purchase = buys(alice, transaction_id="")
    hear("transaction.completed", transaction(custom_data={"purchase_id": str(purchase.id)}))
    purchase.refresh_from_db()
    assert (purchase.transaction_id, owner(), bought(alice)) == (TRANSACTION, alice.id, 137)
    assert_books_balance()


def test_a_second_payment_for_one_purchase_is_of_the_same_account_and_leaves_the_first_in_place(
    alice: User,
) -> None:  # B5
    purchase = buys(alice)
    hear("transaction.completed", transaction())
    hear("transaction.completed", payment(7, line(CREDIT, 10), custom_data={"purchase_id": str(purchase.id)}))
    purchase.refresh_from_db()
    assert (purchase.transaction_id, bought(alice)) == (TRANSACTION, 147)


@pytest.mark.parametrize("origin", ["web", "subscription_recurring", "elsewhere", ""])
def test_a_purchase_named_by_a_payment_that_we_did_not_make_is_not_believed(alice: User, origin: str) -> None:  # B10
    purchase = buys(alice, transaction_id="")
    hear("transaction.completed", transaction(origin=origin, custom_data={"purchase_id": str(purchase.id)}))
    purchase.refresh_from_db()
    assert purchase.transaction_id == ""
    assert_unclaimed(alice)


CUSTOM: list[object] = [
    None,
    [],
    ["account_id"],
    7,
    True,
    "text",
    {},
    {"account_id": None},
    {"account_id": 7},
    {"account_id": ["x"]},
    {"account_id": {"id": "x"}},
    {"account_id": "acct_1"},
    {"account_id": ""},
    {"account_id": str(uuid.UUID(int=1))},
    {"purchase_id": [], "account_id": "' OR 1=1 --"},
]


@pytest.mark.parametrize("custom", CUSTOM, ids=str)
def test_custom_data_may_hold_anything(alice: User, custom: object) -> None:  # P2 B10
    hear("customer.created", customer(alice))
    hear("transaction.completed", transaction(custom_data=custom))
    assert_unclaimed(alice)


@pytest.mark.parametrize("custom", CUSTOM, ids=str)
def test_a_customers_custom_data_may_hold_anything(alice: User, custom: object) -> None:  # P2 B10
    hear("customer.created", customer(custom_data=custom))
    hear("transaction.completed", of_account(alice))
    assert Customer.objects.get().account is None
    assert_unclaimed(alice)


@pytest.mark.parametrize("customer_first", [True, False])
def test_two_things_that_only_our_key_writes_agree(alice: User, customer_first: bool) -> None:  # P2
    told = [("customer.created", customer(alice)), ("transaction.completed", of_account(alice))]
    for kind, data in told if customer_first else reversed(told):
        hear(kind, data)
    assert (owner(), bought(alice)) == (alice.id, 137)
    assert Customer.objects.get().account == alice
    assert_books_balance()


@pytest.mark.parametrize("customer_first", [True, False])
@pytest.mark.parametrize("missing", ["no customer", "customer of nobody", "customer of another", "web", "not named"])
def test_half_a_witness_is_none(alice: User, charlie: User, missing: str, customer_first: bool) -> None:  # B10
    known = {"no customer": None, "customer of nobody": customer(), "customer of another": customer(charlie)}
    who = known.get(missing, customer(alice))
    paid = {"web": of_account(alice, origin="web"), "not named": transaction(custom_data={"kind": "credits"})}
    told = [("customer.created", who)] if who else []
    told.append(("transaction.completed", paid.get(missing, of_account(alice))))
    for kind, data in told if customer_first else reversed(told):
        hear(kind, data)
    assert_unclaimed(alice, charlie)


def test_who_pays_from_a_browser_in_a_victims_name_gives_and_takes_nothing(alice: User) -> None:  # B10
    """Account, customer, purchase and price are right: everything that a browser can write is."""
    buys(alice, transaction_id=name("txn", 1), price=STARTER, quantity=1)
    hear("customer.created", customer(alice), MARCH)
    hear("transaction.completed", renewal(1, STARTER, MARCH, APRIL, origin="web"), MARCH)
    purchase = buys(alice, transaction_id="")
    forged = {"account_id": str(alice.id), "purchase_id": str(purchase.id)}
    plan = payment(
        9,
        line(STARTER),
        line(CREDIT, 300, number=2),
        span=(APRIL, MAY),
        origin="web",
        custom_data=forged,
        subscription_id=name("sub", 9),
    )
    hear("subscription.created", subscription(id=name("sub", 9), transaction_id=name("txn", 9), custom_data=forged))
    hear("transaction.completed", plan)
    assert owner(name("txn", 9)) is None
    assert Subscription.objects.get().account is None
    assert (Grant.objects.filter(account=alice, kind=Grant.Kind.ALLOCATION).count(), bought(alice)) == (2, 0)
    assert_books_balance()


def test_a_customer_of_a_victims_account_keeps_it_when_another_claims_it(alice: User, charlie: User) -> None:  # B10
    hear("customer.created", customer(alice))
    hear("customer.created", customer(alice, id=OTHER_CUSTOMER))
    hear("customer.updated", customer(charlie), APRIL)
    hear("transaction.completed", of_account(alice, customer_id=OTHER_CUSTOMER))
    assert Customer.objects.get(id=CUSTOMER).account == alice
    assert Customer.objects.get(id=OTHER_CUSTOMER).account is None
    assert_unclaimed(alice, charlie)


def test_an_owned_payment_stays_whose_it_is_whatever_is_told_later(alice: User, charlie: User) -> None:  # B10
    buys(alice)
    hear("customer.created", customer(charlie), MARCH)
    hear("transaction.paid", transaction(status="paid"), MARCH)
    hear("transaction.completed", of_account(charlie), APRIL)
    assert (owner(), bought(alice), bought(charlie)) == (alice.id, 137, 0)


def test_what_an_operator_gave_to_somebody_is_not_taken_by_a_witness(alice: User, charlie: User) -> None:  # B10 O1
    hear("transaction.paid", of_account(charlie, status="paid"), MARCH)
    ownership.give(Transaction.objects.get(), alice.id)
    hear("customer.created", customer(charlie), MARCH)
    hear("transaction.completed", of_account(charlie), APRIL)
    assert (owner(), bought(alice), bought(charlie)) == (alice.id, 137, 0)


LIFE: list[tuple[str, str, Any]] = [
    (
        "transaction.completed",
        MARCH,
        renewal(1, STARTER, MARCH, APRIL, id=TRANSACTION, origin="api"),
    ),
    ("subscription.created", MARCH, subscription(transaction_id=TRANSACTION)),
    ("transaction.completed", APRIL, renewal(2, STARTER, APRIL, MAY)),
    ("transaction.completed", APRIL, payment(3, line(CREDIT, 12), subscription_id=SUBSCRIPTION, origin="web")),
]


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_what_a_subscription_pays_is_whose_its_first_payment_is_in_every_order(
    alice: User, order: tuple[int, ...]
) -> None:  # P2 B10
    buys(alice, price=STARTER, quantity=1)
    for number in order:
        kind, at, data = LIFE[number]
        hear(kind, data, at, now=moment(APRIL, days=1))
    assert {owner(row.id) for row in Transaction.objects.all()} == {alice.id}
    assert Subscription.objects.get().account == alice
    assert not Transaction.objects.waiting().exists()
    periods = CreditPeriod.objects.filter(account=alice, paid_until__isnull=False)
    assert sorted(periods.values_list("anchor", flat=True)) == [moment(MARCH), moment(APRIL)]
    assert bought(alice) == 12
    assert_books_balance()


@pytest.mark.parametrize("created_first", [True, False])
def test_a_subscription_is_found_by_the_checkout_that_made_it(alice: User, created_first: bool) -> None:  # P2
    """Before its first payment is completed, that payment does not name the subscription."""
    buys(alice, price=STARTER, quantity=1)
    told: list[tuple[str, Body]] = [
        ("subscription.created", subscription(transaction_id=TRANSACTION)),
        ("transaction.paid", payment(1, line(STARTER), span=(MARCH, APRIL), id=TRANSACTION, status="paid")),
    ]
    for kind, data in told if created_first else reversed(told):
        hear(kind, data, MARCH)
    assert Subscription.objects.get().account == (None if created_first else alice)
    hear("transaction.completed", renewal(2, STARTER, APRIL, MAY), APRIL)
    waits = created_first and owner(name("txn", 2)) is None
    completed = renewal(1, STARTER, MARCH, APRIL, id=TRANSACTION, origin="api")
    hear("transaction.completed", completed, MARCH[:-1] + "1Z", now=moment(APRIL, days=1))
    assert Subscription.objects.get().account == alice
    assert owner(name("txn", 2)) == alice.id
    assert CreditPeriod.objects.filter(account=alice, paid_until__isnull=False).count() == 2
    assert waits == created_first
    assert_books_balance()


@pytest.mark.parametrize("link", [["x"], {"id": "x"}, 7, "", None], ids=str)
def test_the_checkout_that_a_subscription_names_may_be_anything(link: object) -> None:  # P2
    hear("subscription.created", subscription(transaction_id=link))
    assert Subscription.objects.get().account is None


def test_a_stranger_of_the_subscription_gets_nothing_of_it(alice: User, charlie: User) -> None:  # B10
    buys(alice, price=STARTER, quantity=1)
    hear("transaction.completed", renewal(1, STARTER, MARCH, APRIL, id=TRANSACTION), MARCH)
    hear("customer.created", customer(charlie))
    hear("transaction.completed", renewal(2, STARTER, APRIL, MAY, custom_data={"account_id": str(charlie.id)}), APRIL)
    assert owner(name("txn", 2)) == alice.id
    assert not CreditPeriod.objects.filter(account=charlie).exists()


def test_a_customer_tells_whose_several_payments_are_and_only_of_that_customer(alice: User) -> None:  # P2
    for number in range(3):
        data = payment(number, line(CREDIT, 10), custom_data={"account_id": str(alice.id)})
        hear("transaction.completed", data)
    other = payment(8, line(CREDIT, 10), custom_data={"account_id": str(alice.id)}, customer_id=OTHER_CUSTOMER)
    hear("transaction.completed", other)
    hear("customer.created", customer(alice))
    assert (bought(alice), owner(name("txn", 8))) == (30, None)
    assert_books_balance()


def test_two_customers_that_name_each_others_account_are_kept_apart(alice: User, charlie: User) -> None:  # B10
    hear("customer.created", customer(alice))
    hear("customer.created", customer(charlie, id=OTHER_CUSTOMER))
    hear("transaction.completed", of_account(alice, customer_id=OTHER_CUSTOMER))
    assert_unclaimed(alice, charlie)


def test_an_account_that_was_never_seen_gets_its_wallet_with_its_first_payment() -> None:  # P2
    newcomer = make_user("dora@example.com")
    buys(newcomer)
    told = receive(event(777, "transaction.completed", transaction()), moment(APRIL))
    assert PaddleEvent.objects.get().state == told.state == "applied"
    assert bought(newcomer) == 137
    assert_books_balance()


def test_a_claimed_plan_brings_its_subscription(alice: User) -> None:  # B10
    line = transaction(1)["details"]["line_items"][0] | {"price_id": STARTER}
    details = transaction(1)["details"] | {"line_items": [line]}
    span = {"starts_at": "2026-03-16T09:20:11Z", "ends_at": "2026-04-16T09:20:11Z"}
    paid_by_a_stranger(details=details, subscription_id=SUBSCRIPTION, billing_period=span)
    post(event(2, "subscription.created", subscription(transaction_id=TRANSACTION)))
    assert Subscription.objects.get().account is None
    ownership.claim(TRANSACTION, alice.id)
    assert Subscription.objects.get().account == alice
    assert Transaction.objects.get().settled_at
    assert period(alice) is not None
    assert_books_balance()


def test_a_payment_with_an_owner_is_nobody_elses(alice: User, charlie: User) -> None:  # B10
    paid_by_a_stranger()
    ownership.claim(TRANSACTION, alice.id)
    with pytest.raises(ownership.NotClaimable):
        ownership.claim(TRANSACTION, charlie.id)
    assert (bought(alice), bought(charlie)) == (137, 0)
