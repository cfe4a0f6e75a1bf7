"""Operators give courtesy credits and take credits back; each move stands in the ledger and in their log, once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client

from credits.ledger import grants
from credits.models import AIModel, Grant, LedgerEntry, ModelPrice
from sidekick.accounts.models import User
from tests.conftest import make_user
from tests.credits.books import assert_books_balance, at_once, debt, remaining, use

pytestmark = pytest.mark.django_db
SignIn = Callable[[Client, User], None]
GIVE = "/admin/credits/grant/give/"
WHY = "An apology for Tuesday."


@pytest.fixture
def operator(client: Client, sign_in: SignIn, db: None) -> User:
    user = make_user("operator@example.com", is_staff=True, is_superuser=True)
    sign_in(client, user)
    return user


def fields(**changes: str) -> dict[str, str]:
    return {"token": str(uuid4()), "account": "alice@example.com", "amount": "25", "reason": WHY, **changes}


def courtesy(account: User, credits: int = 25) -> Grant:
    return grants.grant(account.id, Decimal(credits), kind=Grant.Kind.COURTESY, source_key=f"gift {credits}")


def test_a_gift_stands_in_the_ledger_with_who_and_why(client: Client, operator: User, alice: User) -> None:  # O1
    answer = client.post(GIVE, fields(amount="12.5"))
    assert answer["Location"] == f"/admin/accounts/user/{alice.id}/change/"
    given = Grant.objects.get(account=alice, kind=Grant.Kind.COURTESY)
    entry = given.ledger_entries.get()
    assert (entry.amount, entry.reason, entry.actor) == (Decimal("12.5"), WHY, operator)
    logged = LogEntry.objects.get()
    assert (logged.user, logged.object_id) == (operator, str(given.pk))
    assert logged.change_message == f"Gave 12.50 courtesy credits: {WHY}"
    assert_books_balance()


AS_DIGITS = "Write digits alone, with a point before decimals: 1250 or 0.5."


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"reason": ""}, "This field is required."),
        ({"reason": "ok"}, "Ensure this value has at least 3 characters"),
        ({"amount": "0"}, "Ensure this value is greater than or equal to 0.000001."),
        ({"amount": "0.0000001"}, "Ensure that there are no more than 6 decimal places."),
        ({"amount": "10000.01"}, "Ensure this value is less than or equal to 10000."),
        ({"amount": "NaN"}, AS_DIGITS),
        ({"amount": "1e2"}, AS_DIGITS),
        ({"amount": "1,000"}, AS_DIGITS),
        ({"amount": "1_000"}, AS_DIGITS),
        ({"amount": "１００"}, AS_DIGITS),
        ({"amount": "-3"}, AS_DIGITS),
        ({"account": "nobody@example.com"}, "No account has this email or id."),
        ({"expires_at": "2020-01-01T00:00"}, "This has to be in the future."),
        ({"token": "x"}, "Nothing was changed."),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_is_given(
    client: Client, operator: User, alice: User, changes: dict[str, str], sentence: str
) -> None:  # O1
    answer = client.post(GIVE, fields(**changes))
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not Grant.objects.filter(kind=Grant.Kind.COURTESY).exists()
    assert not LogEntry.objects.exists()


def test_the_form_names_the_account_it_was_opened_for(client: Client, operator: User, alice: User) -> None:  # O1
    assert 'value="alice@example.com"' in client.get(GIVE, {"account": str(alice.id)}).content.decode()


def test_a_gift_may_lapse(client: Client, operator: User, alice: User) -> None:  # O1
    tomorrow = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=1)
    client.post(GIVE, fields(account=str(alice.id), expires_at=f"{tomorrow:%Y-%m-%dT%H:%M}"))
    assert Grant.objects.get(kind=Grant.Kind.COURTESY).expires_at == tomorrow


def test_a_form_sent_again_gives_nothing_more(client: Client, operator: User, alice: User) -> None:  # O1
    form = fields()
    assert client.post(GIVE, form).status_code == client.post(GIVE, form).status_code == 302
    assert Grant.objects.get(kind=Grant.Kind.COURTESY).amount == 25
    assert LogEntry.objects.count() == 1
    other = client.post(GIVE, {**form, "amount": "26"})
    assert "This form was sent before with another amount." in other.content.decode()
    assert Grant.objects.get(kind=Grant.Kind.COURTESY).amount == 25


@pytest.mark.django_db(transaction=True)
def test_a_double_click_gives_once(client: Client, operator: User, alice: User, sign_in: SignIn) -> None:  # O1
    form = fields()
    clients = [Client() for _ in range(4)]
    for each in clients:
        sign_in(each, operator)
    answers = at_once([lambda each=each: each.post(GIVE, form) for each in clients])  # type: ignore[misc]
    assert [answer.status_code for answer in answers] == [302] * 4
    assert Grant.objects.get(kind=Grant.Kind.COURTESY).amount == 25
    assert LogEntry.objects.count() == 1
    assert_books_balance()


def test_credits_are_taken_back_once_with_who_and_why(client: Client, operator: User, alice: User) -> None:  # O1
    given = courtesy(alice)
    page = f"/admin/credits/grant/{given.pk}/take-back/"
    assert "25.00 can be taken back; 25.00 of them are unspent" in client.get(page).content.decode()
    form = fields(amount="10", reason="Given twice.")
    assert client.post(page, form).status_code == client.post(page, form).status_code == 302
    given.refresh_from_db()
    assert given.remaining == 15
    entry = LedgerEntry.objects.get(kind="voided")
    assert (entry.amount, entry.reason, entry.actor) == (-10, "Given twice.", operator)
    assert LogEntry.objects.get().change_message == f"Took back 10.00 credits of grant {given.pk}: Given twice."
    assert_books_balance()


def test_no_more_is_taken_back_than_was_given(client: Client, operator: User, alice: User) -> None:  # O1
    page = f"/admin/credits/grant/{courtesy(alice).pk}/take-back/"
    answer = client.post(page, fields(amount="25.01"))
    assert answer.status_code == 422
    assert "Only 25.000000 of this grant can be taken back." in answer.content.decode()
    assert remaining(alice) == 25 + 50
    assert not LogEntry.objects.exists()


def test_spent_credits_that_are_taken_back_become_debt(client: Client, operator: User, alice: User) -> None:  # M5
    given = courtesy(alice)
    use(alice, 75, now=datetime.now(UTC))
    client.post(f"/admin/credits/grant/{given.pk}/take-back/", fields(amount="20"))
    assert debt(alice) == 20
    assert_books_balance()


def test_what_was_taken_by_mistake_is_restored(client: Client, operator: User, alice: User) -> None:  # O1
    given = courtesy(alice)
    client.post(f"/admin/credits/grant/{given.pk}/take-back/", fields(amount="10"))
    page = f"/admin/credits/grant/{given.pk}/restore/"
    assert "10.00 credits of this grant" in client.get(page).content.decode()
    assert "Only 10.000000 of this grant were taken back" in client.post(page, fields(amount="11")).content.decode()
    assert client.post(page, fields(amount="10")).status_code == 302
    given.refresh_from_db()
    assert given.remaining == 25
    assert_books_balance()


@pytest.mark.parametrize(
    ("right", "gives", "takes"), [("view_grant", 403, 403), ("add_grant", 302, 403), ("change_grant", 403, 302)]
)
def test_giving_and_taking_are_rights_of_their_own(
    client: Client, sign_in: SignIn, alice: User, right: str, gives: int, takes: int
) -> None:  # O1
    given = courtesy(alice)
    clerk = make_user("clerk@example.com", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=[right, "view_grant"]))
    sign_in(client, clerk)
    assert client.post(GIVE, fields()).status_code == gives
    assert client.post(f"/admin/credits/grant/{given.pk}/take-back/", fields(amount="1")).status_code == takes
    assert client.post(f"/admin/credits/grant/{given.pk}/restore/", fields(amount="1")).status_code in (takes, 422)
    listed = client.get("/admin/credits/grant/").content.decode()
    assert ("Give courtesy credits" in listed) == (gives == 302)
    page = client.get(f"/admin/credits/grant/{given.pk}/change/").content.decode()
    assert ("Take back credits" in page) == (takes == 302)


def test_customers_and_strangers_give_nothing(client: Client, sign_in: SignIn, alice: User) -> None:  # O1
    assert client.post(GIVE, fields()).status_code == 302
    sign_in(client, alice)
    assert client.post(GIVE, fields()).status_code == 302
    assert not Grant.objects.filter(kind=Grant.Kind.COURTESY).exists()


def test_a_new_price_needs_a_reason_and_an_old_one_stays(client: Client, operator: User) -> None:  # M1 O1
    model = AIModel.objects.get(name="gpt-5")
    page = f"/admin/credits/aimodel/{model.pk}/change/"
    before = ModelPrice.objects.filter(model=model).count()
    price = {
        "prices-TOTAL_FORMS": str(before + 1),
        "prices-INITIAL_FORMS": str(before),
        **{f"prices-{before}-{name}": "7" for name in ("input", "output", "cache_read", "cache_write")},
        f"prices-{before}-valid_from_0": "2099-01-01",
        f"prices-{before}-valid_from_1": "00:00",
    }
    assert "This field is required." in client.post(page, price).content.decode()
    assert ModelPrice.objects.filter(model=model).count() == before
    assert client.post(page, {**price, "reason": "Their prices rise."}).status_code == 302
    assert ModelPrice.objects.filter(model=model).count() == before + 1
    assert LogEntry.objects.get().change_message.endswith(" Their prices rise.")
