from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client

from billing.models import PaddleEvent, Transaction
from billing.paddle import inbox
from sidekick.accounts.models import User
from tests.billing.bodies import (
    ADJUSTMENT,
    SUBSCRIPTION,
    TRANSACTION,
    adjustment,
    event,
    post,
    subscription,
    transaction,
)
from tests.conftest import make_user

SignIn = Callable[[Client, User], None]
EVENT = f"evt_01k{1:023}"
INBOX = "/admin/billing/paddleevent/"


@pytest.fixture
def operator(client: Client, sign_in: SignIn, db: None) -> User:
    user = make_user("operator@example.com", is_staff=True, is_superuser=True)
    sign_in(client, user)
    return user


def fail_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(inbox.ENTITIES, "transaction", inbox.ENTITIES["adjustment"])
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
