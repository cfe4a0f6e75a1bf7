"""Look-ups that the address of a list may ask for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from sidekick.accounts.models import Letter, User
from tests.conftest import make_user

pytestmark = pytest.mark.django_db
SignIn = Callable[[Client, User], None]


def clerk_who_may(codename: str) -> User:
    clerk = make_user("clerk@example.com", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename=codename))
    return clerk


def test_no_address_asks_for_a_passwords_hash(client: Client, sign_in: SignIn) -> None:  # O1
    boss = make_user("boss@example.com", is_staff=True, is_superuser=True)
    sign_in(client, clerk_who_may("view_user"))
    for guess in (boss.password[:40], "argon2$nonsense"):
        answer = client.get("/admin/accounts/user/", {"password__startswith": guess})
        assert str(boss.pk) not in answer.content.decode()


def test_no_address_asks_for_an_emails_code(client: Client, sign_in: SignIn, alice: User) -> None:  # O1
    Letter.objects.create(account=alice, to=alice.email, subject="Your code", text="AAAA-BBBB", html="AAAA-BBBB")
    sign_in(client, clerk_who_may("view_letter"))
    for column in ("text", "html"):
        answer = client.get("/admin/accounts/letter/", {f"{column}__contains": "AAAA-"})
        assert alice.email not in answer.content.decode()


def test_every_filter_that_is_offered_is_allowed(client: Client, sign_in: SignIn) -> None:  # O1
    boss = make_user("boss@example.com", is_staff=True, is_superuser=True)
    sign_in(client, boss)
    asked = {
        "accounts/user": {"is_staff__exact": "1"},
        "accounts/letter": {"due_at__isempty": "1", "created_at__year": "2026"},
        "billing/waitingpayment": {"account__isempty": "1"},
        "credits/creditperiod": {"plan__slug__exact": "pro"},
        "admin/logentry": {"user__id__exact": str(boss.pk)},
        "feedback/report": {"images": "yes", "forwarding": "failed"},
    }
    for table, query in asked.items():
        assert client.get(f"/admin/{table}/", query).status_code == 200, table
