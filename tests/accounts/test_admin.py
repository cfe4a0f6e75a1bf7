from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from sidekick.accounts.models import DeviceSession, ServiceKey, User

from ..conftest import make_user

SignIn = Callable[[Client, User], None]


@pytest.fixture
def operator(client: Client, sign_in: SignIn) -> User:
    user = make_user("operator@example.com", is_staff=True, is_superuser=True)
    sign_in(client, user)
    return user


def test_operator_ends_an_accounts_sessions(client: Client, operator: User, alice: User, sign_in: SignIn) -> None:  # A7
    sign_in(Client(), alice)
    client.post("/admin/accounts/user/", {"action": "end_sessions", "_selected_action": [str(alice.id)]})
    assert not alice.device_sessions.live().exists()
    assert operator.device_sessions.live().exists()
    assert LogEntry.objects.get().user == operator


def test_operator_ends_one_session(client: Client, operator: User, alice: User, sign_in: SignIn) -> None:  # A7
    sign_in(Client(), alice)
    sign_in(Client(), alice)
    one = alice.device_sessions.all()[0]
    client.post("/admin/accounts/devicesession/", {"action": "end_sessions", "_selected_action": [str(one.id)]})
    one.refresh_from_db()
    assert one.revoked_because == DeviceSession.Ended.BY_OPERATOR
    assert alice.device_sessions.live().count() == 1


def test_operator_revokes_a_key_but_cannot_make_or_see_one(client: Client, operator: User) -> None:  # O1
    key, _ = ServiceKey.objects.issue("backend", scopes=["usage:write"])
    assert client.get("/admin/accounts/servicekey/add/").status_code == 403
    assert key.digest not in client.get(f"/admin/accounts/servicekey/{key.pk}/change/").content.decode()
    client.post("/admin/accounts/servicekey/", {"action": "revoke", "_selected_action": [str(key.pk)]})
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
    from django.contrib.auth.models import Permission

    operator.user_permissions.set(Permission.objects.filter(codename__in=["change_user", "view_user"]))
    data = {"name": "Op", "time_zone": "UTC", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    assert client.post(f"/admin/accounts/user/{operator.id}/change/", data).status_code == 302
    operator.refresh_from_db()
    assert (operator.name, operator.is_superuser) == ("Op", False)


def test_operators_password_is_changed_where_sessions_end(client: Client, operator: User) -> None:  # A7
    assert client.get("/admin/password_change/")["Location"] == "/accounts/password/change/"


def test_signing_out_of_admin_ends_the_session(client: Client, operator: User) -> None:  # A5
    client.post("/admin/logout/")
    assert not DeviceSession.objects.live().exists()
