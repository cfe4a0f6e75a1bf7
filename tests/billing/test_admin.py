from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client

from billing import ownership
from billing.models import PaddleEvent, PlanPrice, Transaction
from billing.paddle import snapshots
from credits.models import Grant
from sidekick.accounts.models import User
from tests.billing.bodies import (
    ADJUSTMENT,
    CREDIT,
    SUBSCRIPTION,
    TRANSACTION,
    adjustment,
    event,
    paid_by_a_stranger,
    post,
    subscription,
    transaction,
)
from tests.conftest import make_user
from tests.credits.books import assert_books_balance

SignIn = Callable[[Client, User], None]
EVENT = f"evt_01k{1:023}"
INBOX = "/admin/billing/paddleevent/"
WAITING = "/admin/billing/waitingpayment/"


@pytest.fixture
def operator(client: Client, sign_in: SignIn, db: None) -> User:
    user = make_user("operator@example.com", is_staff=True, is_superuser=True)
    sign_in(client, user)
    return user


def bought(account: User) -> Decimal:
    return sum(Grant.objects.filter(account=account, kind=3).values_list("remaining", flat=True), Decimal(0))


def fail_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(snapshots.ENTITIES, "transaction", snapshots.ENTITIES["adjustment"])
        assert post(event(1, "transaction.completed", transaction())).json()["state"] == "failed"


def again(client: Client) -> str:
    answer = client.post(
        INBOX, {"action": "apply_again", "_selected_action": [EVENT], "reason": "The fault is fixed."}, follow=True
    )
    return answer.content.decode()


def test_operator_applies_a_failed_event_again(  # P3 O1
    client: Client, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_for_now(monkeypatch)
    assert "Applied again: 1 applied." in again(client)
    assert PaddleEvent.objects.get().state == "applied"
    assert Transaction.objects.get().id == TRANSACTION
    logged = LogEntry.objects.get()
    assert (logged.user, logged.object_id) == (operator, EVENT)
    assert logged.change_message == "Apply again: The fault is fixed."


def test_operator_sees_that_it_failed_again(client: Client, operator: User) -> None:  # P3
    post(event(1, "transaction.completed", transaction(details=None)))
    assert "Applied again: 1 failed." in again(client)
    assert PaddleEvent.objects.get().attempts == 2


def test_who_may_only_look_cannot_apply_again(  # P3
    client: Client, sign_in: SignIn, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = make_user("reader@example.com", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_paddleevent"))
    sign_in(client, reader)
    fail_for_now(monkeypatch)
    assert "Apply again" not in client.get(INBOX).content.decode()
    again(client)
    assert PaddleEvent.objects.get().attempts == 1


def test_every_admin_page_of_billing_opens_and_none_can_be_edited(client: Client, operator: User) -> None:  # O1
    for number, (kind, data) in enumerate(
        [
            ("transaction.completed", transaction()),
            ("subscription.updated", subscription()),
            ("adjustment.updated", adjustment()),
        ],
        start=1,
    ):
        post(event(number, kind, data))
    rows = {
        "paddleevent": EVENT,
        "subscription": SUBSCRIPTION,
        "transaction": TRANSACTION,
        "adjustment": ADJUSTMENT,
    }
    for model, key in rows.items():
        page = f"/admin/billing/{model}/"
        quoted = key.replace("_", "_5F")
        assert key in client.get(page, {"q": key}).content.decode()
        assert client.get(f"{page}{quoted}/change/").status_code == 200
        assert client.get(f"{page}add/").status_code == 403
        assert client.post(f"{page}{quoted}/change/", {"status": "completed"}).status_code == 403
        assert client.post(f"{page}{quoted}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.usefixtures("sold")
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


@pytest.mark.usefixtures("sold")
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


@pytest.mark.usefixtures("sold")
def test_what_gives_nothing_is_dismissed_once(client: Client, operator: User) -> None:  # O1
    paid_by_a_stranger()
    client.post(WAITING, {"action": "nothing_to_give", "_selected_action": [TRANSACTION], "reason": "Paid twice."})
    assert Transaction.objects.get().settled_at
    assert LogEntry.objects.get().change_message == "Nothing is to be given for it: Paid twice."
    with pytest.raises(ownership.NotClaimable):
        ownership.dismiss(TRANSACTION)


@pytest.mark.usefixtures("sold")
def test_what_was_sold_at_an_unknown_price_is_tried_again(client: Client, operator: User, alice: User) -> None:  # P3
    PlanPrice.objects.filter(interval="credit").update(paddle_price_id="")
    paid_by_a_stranger()
    assert ownership.claim(TRANSACTION, alice.id).held_up == f"Nothing here is sold at {CREDIT}."
    PlanPrice.objects.filter(interval="credit").update(former_price_ids=[CREDIT])
    client.post(WAITING, {"action": "fulfil_again", "_selected_action": [TRANSACTION], "reason": "It is sold now."})
    assert bought(alice) == 137
    assert_books_balance()


@pytest.mark.usefixtures("sold")
def test_who_may_only_look_can_give_nothing(client: Client, sign_in: SignIn, alice: User) -> None:  # O1
    paid_by_a_stranger()
    clerk = make_user("clerk@example.com", is_staff=True)
    sign_in(client, clerk)
    fields = {"belongs_to": "alice@example.com", "reason": "x"}
    assert client.post(f"{WAITING}{TRANSACTION}/change/", fields).status_code == 403
    assert bought(alice) == 0


@pytest.mark.parametrize("typed", ["1e2", "1_500", "+15", "１５", "1,500", "15.0"])
def test_prices_are_typed_in_digits_alone(client: Client, operator: User, typed: str) -> None:  # O1
    price = PlanPrice.objects.per_credit().get()
    form = {"amount": typed, "most": "300", "paddle_price_id": "", "former_price_ids": "", "reason": "Dearer"}
    answer = client.post(f"/admin/billing/planprice/{price.pk}/change/", form)
    assert "Enter a whole number." in answer.content.decode()
    price.refresh_from_db()
    assert price.amount == 10
    assert client.post(f"/admin/billing/planprice/{price.pk}/change/", {**form, "amount": " 12 "}).status_code == 302
    price.refresh_from_db()
    assert price.amount == 12
