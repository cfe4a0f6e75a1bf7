from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.test import Client

from sidekick.accounts.models import DeviceSession, Letter, ServiceKey, User
from tests.conftest import make_user

SignIn = Callable[[Client, User], None]


@pytest.fixture
def operator(client: Client, sign_in: SignIn) -> User:
    user = make_user("operator@example.com", is_staff=True, is_superuser=True)
    sign_in(client, user)
    return user


def act(client: Client, table: str, action: str, row: object, reason: str = "They asked on the phone.") -> str:
    fields = {"action": action, "_selected_action": [str(row)], "reason": reason}
    return client.post(f"/admin/accounts/{table}/", fields, follow=True).content.decode()


def test_operator_ends_an_accounts_sessions(client: Client, operator: User, alice: User, sign_in: SignIn) -> None:  # A7
    sign_in(Client(), alice)
    assert "1 sessions ended." in act(client, "user", "end_sessions", alice.id)
    assert not alice.device_sessions.live().exists()
    assert operator.device_sessions.live().exists()
    logged = LogEntry.objects.get()
    assert (logged.user, logged.object_id) == (operator, str(alice.id))
    assert logged.change_message == "End all sessions: They asked on the phone."


@pytest.mark.parametrize("reason", ["", "  ", "no", "x" * 501])
def test_nothing_ends_without_a_reason(  # O1
    client: Client, operator: User, alice: User, sign_in: SignIn, reason: str
) -> None:
    sign_in(Client(), alice)
    assert "Nothing was changed." in act(client, "user", "end_sessions", alice.id, reason)
    assert alice.device_sessions.live().exists()
    assert not LogEntry.objects.exists()


def test_a_button_on_the_page_of_an_account_asks_why_and_comes_back(  # O1
    client: Client, operator: User, alice: User
) -> None:
    fields = {"action": "suspend", "_selected_action": [str(alice.id)], "back": "row"}
    asked = client.post("/admin/accounts/user/", fields)
    assert "Why? It stays in the operator log" in asked.content.decode()
    alice.refresh_from_db()
    assert alice.is_active
    answer = client.post("/admin/accounts/user/", {**fields, "reason": "Their card was stolen."})
    assert answer["Location"] == f"/admin/accounts/user/{alice.id}/change/"


def test_a_suspended_account_is_out_at_once_until_it_is_reactivated(  # O1 A7
    client: Client, operator: User, alice: User, sign_in: SignIn
) -> None:
    browser = Client()
    sign_in(browser, alice)
    assert browser.get("/dashboard/credits").status_code == 200
    act(client, "user", "suspend", alice.id)
    assert browser.get("/dashboard/credits").status_code == 302
    assert alice.device_sessions.get().revoked_because == DeviceSession.Ended.BY_OPERATOR
    act(client, "user", "reactivate", alice.id)
    alice.refresh_from_db()
    assert alice.is_active
    assert browser.get("/dashboard/credits").status_code == 302


def test_what_its_owner_deleted_stays_deleted(client: Client, operator: User, alice: User) -> None:  # A10
    User.objects.filter(id=alice.id).update(is_active=False, deleted_at=alice.date_joined)
    act(client, "user", "reactivate", alice.id)
    alice.refresh_from_db()
    assert not alice.is_active


def test_nobody_suspends_themselves(client: Client, operator: User) -> None:  # O1
    act(client, "user", "suspend", operator.id)
    operator.refresh_from_db()
    assert operator.is_active


@pytest.mark.parametrize("action", ["suspend", "end_sessions"])
def test_only_a_superuser_touches_an_operator(client: Client, operator: User, sign_in: SignIn, action: str) -> None:
    clerk = make_user("clerk@example.com", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["change_user", "view_user"]))
    browser = Client()
    sign_in(browser, clerk)
    act(browser, "user", action, operator.id)
    operator.refresh_from_db()
    assert operator.is_active
    assert operator.device_sessions.live().exists()
    assert not LogEntry.objects.exists()


def test_only_a_superuser_ends_an_operators_session(client: Client, operator: User, sign_in: SignIn) -> None:  # O1
    clerk = make_user("clerk@example.com", is_staff=True)
    rights = Permission.objects.filter(codename__in=["change_devicesession", "view_devicesession"])
    clerk.user_permissions.set(rights)
    browser = Client()
    sign_in(browser, clerk)
    act(browser, "devicesession", "end_sessions", operator.device_sessions.get().id)
    assert operator.device_sessions.live().exists()


def test_only_a_superuser_gives_rights_to_a_group(client: Client, sign_in: SignIn, db: None) -> None:  # O1
    group = Group.objects.create(name="Support")
    clerk = make_user("clerk@example.com", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(content_type__model="group"))
    sign_in(client, clerk)
    fields = {"name": "All", "permissions": [Permission.objects.all()[0].pk], "reason": "Why not."}
    assert client.post(f"/admin/auth/group/{group.pk}/change/", fields).status_code == 403
    assert client.post("/admin/auth/group/add/", fields).status_code == 403
    assert not group.permissions.exists()


def test_operator_ends_one_session(client: Client, operator: User, alice: User, sign_in: SignIn) -> None:  # A7
    sign_in(Client(), alice)
    sign_in(Client(), alice)
    one = alice.device_sessions.all()[0]
    act(client, "devicesession", "end_sessions", one.id)
    one.refresh_from_db()
    assert one.revoked_because == DeviceSession.Ended.BY_OPERATOR
    assert alice.device_sessions.live().count() == 1


def test_an_email_is_listed_but_never_read(client: Client, operator: User, alice: User) -> None:  # O1
    email = Letter.objects.create(account=alice, to=alice.email, subject="Your code", text="AAAA-BBBB", html="BBBB")
    assert "Your code" in client.get("/admin/accounts/letter/", {"q": str(alice.id)}).content.decode()
    page = client.get(f"/admin/accounts/letter/{email.id}/change/").content.decode()
    assert "Your code" in page
    assert "BBBB" not in page


def test_operator_revokes_a_key_but_cannot_make_or_see_one(client: Client, operator: User) -> None:  # O1
    key, _ = ServiceKey.objects.issue("backend", scopes=["usage:write"])
    assert client.get("/admin/accounts/servicekey/add/").status_code == 403
    assert key.digest not in client.get(f"/admin/accounts/servicekey/{key.pk}/change/").content.decode()
    act(client, "servicekey", "revoke", key.pk)
    key.refresh_from_db()
    assert key.revoked_at


def test_every_admin_page_of_accounts_opens(client: Client, operator: User) -> None:  # O1
    session = operator.device_sessions.get()
    for path in (
        "user/",
        f"user/{operator.id}/change/",
        "devicesession/",
        f"devicesession/{session.id}/change/",
        "servicekey/",
    ):
        assert client.get(f"/admin/accounts/{path}").status_code == 200, path


def test_operator_without_superpowers_cannot_give_rights(client: Client, operator: User) -> None:  # O1
    User.objects.update(is_superuser=False)
    operator.user_permissions.set(Permission.objects.filter(codename__in=["change_user", "view_user"]))
    data = {"name": "Op", "time_zone": "UTC", "is_staff": "on", "is_superuser": "on", "reason": "A new name."}
    assert client.post(f"/admin/accounts/user/{operator.id}/change/", data).status_code == 302
    operator.refresh_from_db()
    assert (operator.name, operator.is_superuser) == ("Op", False)
    assert LogEntry.objects.get().change_message == "Changed Name. A new name."


def test_operators_password_is_changed_where_sessions_end(client: Client, operator: User) -> None:  # A7
    assert client.get("/admin/password_change/")["Location"] == "/accounts/password/change/"


def test_signing_out_of_admin_ends_the_session(client: Client, operator: User) -> None:  # A5
    client.post("/admin/logout/")
    assert not DeviceSession.objects.live().exists()


def test_an_email_that_was_given_up_can_be_sent_again(client: Client, operator: User, alice: User) -> None:  # O1
    about = {"account": alice, "template": "x", "to": alice.email, "attempts": 12, "due_at": None, "error": "refused"}
    given_up = Letter.objects.create(**about, text="Hello")
    page = client.get(f"/admin/accounts/letter/{given_up.id}/change/").content.decode()
    assert "Send again" in page
    assert "1 emails will be sent again" in act(client, "letter", "send_again", given_up.id)
    given_up.refresh_from_db()
    assert (given_up.attempts, given_up.error, given_up.due_at is None) == (0, "", False)
    too_late = Letter.objects.create(**about)
    assert "Send again" not in client.get(f"/admin/accounts/letter/{too_late.id}/change/").content.decode()
    assert "0 emails will be sent again" in act(client, "letter", "send_again", too_late.id)
