"""Payments of nobody we know wait for an operator, and give what was paid for once claimed."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from billing import claims
from billing.claims import NotClaimable
from billing.models import PlanPrice, Subscription, Transaction
from credits.models import Grant
from sidekick.accounts.models import User
from tests.billing.bodies import CREDIT, STARTER, SUBSCRIPTION, TRANSACTION, event, post, subscription, transaction
from tests.conftest import make_user
from tests.credits.books import assert_books_balance, period

pytestmark = pytest.mark.django_db
SignIn = Callable[[Client, User], None]
WAITING = "/admin/billing/waitingpayment/"


@pytest.fixture(autouse=True)
def _prices(db: None) -> None:
    PlanPrice.objects.filter(interval="credit").update(paddle_price_id=CREDIT)
    PlanPrice.objects.filter(plan="starter", interval="month").update(paddle_price_id=STARTER)


@pytest.fixture
def operator(client: Client, sign_in: SignIn, db: None) -> User:
    user = make_user("operator@example.com", is_staff=True, is_superuser=True)
    sign_in(client, user)
    return user


def bought(account: User) -> Decimal:
    return sum(Grant.objects.filter(account=account, kind=3).values_list("remaining", flat=True), Decimal(0))


def paid_by_a_stranger(**changes: Any) -> None:
    assert post(event(1, "transaction.completed", transaction(origin="web", **changes))).json()["state"] == "applied"


def test_operator_sees_whose_payment_nobody_knows_and_gives_it(  # O1 B10
    client: Client, operator: User, alice: User
) -> None:
    paid_by_a_stranger()
    listed = client.get(WAITING).content.decode()
    assert TRANSACTION in listed
    assert "Nobody we know paid it." in listed
    page = f"{WAITING}{TRANSACTION}/change/"
    assert "Belongs to" in client.get(page).content.decode()
    client.post(page, {"belongs_to": "alice@example.com", "reason": "She sent the receipt."})
    assert bought(alice) == 137
    client.get(WAITING)  # Says that it was changed.
    assert TRANSACTION not in client.get(WAITING).content.decode()
    assert "She sent the receipt." in LogEntry.objects.get().change_message
    assert_books_balance()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"belongs_to": "nobody@example.com", "reason": "x"}, "No account has this email or id."),
        ({"belongs_to": "alice@example.com", "reason": ""}, "This field is required."),
    ],
)
def test_a_claim_needs_an_account_and_a_reason(
    client: Client, operator: User, alice: User, fields: dict[str, str], sentence: str
) -> None:  # O1
    paid_by_a_stranger()
    answer = client.post(f"{WAITING}{TRANSACTION}/change/", fields)
    assert sentence in answer.content.decode()
    assert Transaction.objects.get().account is None


def test_a_claimed_plan_brings_its_subscription(alice: User) -> None:  # B10
    line = transaction(1)["details"]["line_items"][0] | {"price_id": STARTER}
    details = transaction(1)["details"] | {"line_items": [line]}
    span = {"starts_at": "2026-03-16T09:20:11Z", "ends_at": "2026-04-16T09:20:11Z"}
    paid_by_a_stranger(details=details, subscription_id=SUBSCRIPTION, billing_period=span)
    post(event(2, "subscription.created", subscription(transaction_id=TRANSACTION)))
    assert Subscription.objects.get().account is None
    claims.claim(TRANSACTION, alice.id)
    assert Subscription.objects.get().account == alice
    assert Transaction.objects.get().settled_at
    assert period(alice) is not None
    assert_books_balance()


def test_a_payment_with_an_owner_is_nobody_elses(alice: User, charlie: User) -> None:  # B10
    paid_by_a_stranger()
    claims.claim(TRANSACTION, alice.id)
    with pytest.raises(NotClaimable):
        claims.claim(TRANSACTION, charlie.id)
    assert (bought(alice), bought(charlie)) == (137, 0)


def test_what_gives_nothing_is_dismissed_once(client: Client, operator: User) -> None:  # O1
    paid_by_a_stranger()
    client.post(WAITING, {"action": "nothing_to_give", "_selected_action": [TRANSACTION], "reason": "Paid twice."})
    assert Transaction.objects.get().settled_at
    assert LogEntry.objects.get().change_message == "Nothing is to be given for it: Paid twice."
    with pytest.raises(NotClaimable):
        claims.dismiss(TRANSACTION)


def test_what_was_sold_at_an_unknown_price_is_tried_again(client: Client, operator: User, alice: User) -> None:  # P3
    PlanPrice.objects.filter(interval="credit").update(paddle_price_id="")
    paid_by_a_stranger()
    assert claims.claim(TRANSACTION, alice.id).held_up == f"Nothing here is sold at {CREDIT}."
    PlanPrice.objects.filter(interval="credit").update(former_price_ids=[CREDIT])
    client.post(WAITING, {"action": "settle_again", "_selected_action": [TRANSACTION], "reason": "It is sold now."})
    assert bought(alice) == 137
    assert_books_balance()


def test_who_may_only_look_can_give_nothing(client: Client, sign_in: SignIn, alice: User) -> None:  # O1
    paid_by_a_stranger()
    clerk = make_user("clerk@example.com", is_staff=True)
    sign_in(client, clerk)
    fields = {"belongs_to": "alice@example.com", "reason": "x"}
    assert client.post(f"{WAITING}{TRANSACTION}/change/", fields).status_code == 403
    assert bought(alice) == 0
