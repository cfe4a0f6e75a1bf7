"""Look-ups that the address of a list may ask for."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from sidekick.accounts.models import Letter, User
from sidekick.logs import Refusals
from tests.conftest import make_user
from tests.dashboard.backoffice import rows

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
        "accounts/letter": {"due_at__isempty": "1", "created_at__gte": "2026-05-01 00:00:00+00:00"},
        "billing/waitingpayment": {"account__isempty": "1"},
        "credits/creditperiod": {"plan__slug__exact": "pro"},
        "admin/logentry": {"user__id__exact": str(boss.pk)},
        "feedback/report": {"images": "yes", "forwarding": "failed"},
    }
    for table, query in asked.items():
        assert client.get(f"/admin/{table}/", query).status_code == 200, table


@pytest.mark.parametrize("label", rows.MAKERS)
def test_every_link_of_a_list_leads_to_a_list(client: Client, sign_in: SignIn, label: str) -> None:  # O1
    sign_in(client, make_user("boss@example.com", is_staff=True, is_superuser=True))
    rows.make(label, 2)
    address = f"/admin/{label.lower().replace('.', '/')}/"
    links = set(re.findall(r'href="(\?[^"]*)"', client.get(address).content.decode()))
    for link in links:
        assert client.get(address + unescape(link)).status_code == 200, link


@pytest.mark.parametrize(
    "query",
    ["created_at__range=", "created_at__year=1", "created_at__date__year__gt=0", "status__regex=(", "status__in=a,b",
     "status__iregex=[", "status__exact=new&status__exact=closed", "&".join(["status__exact=new"] * 400), "id__exact=1",
     "account__email__startswith=a", "e=1&created_at__gte=garbage", "_to_field=account", "q=a&q=b"],
)  # fmt: skip
def test_a_lookup_that_nobody_offers_is_refused_quietly(
    client: Client, sign_in: SignIn, caplog: pytest.LogCaptureFixture, query: str
) -> None:  # O1
    caplog.handler.addFilter(Refusals())
    sign_in(client, make_user("boss@example.com", is_staff=True, is_superuser=True))
    answer = client.get(f"/admin/feedback/report/?{query}")
    assert answer.status_code == 400
    assert "<h1>That request makes no sense</h1>" in answer.content.decode()
    assert [record for record in caplog.records if record.levelname == "ERROR" or record.exc_info] == []


@pytest.mark.parametrize("query", ["created_at__gte=garbage", "p=999", "o=99.x", "p=x", "all=1", "_popup=1"])
def test_a_value_that_makes_no_sense_leads_to_the_whole_list(client: Client, sign_in: SignIn, query: str) -> None:  # O1
    sign_in(client, make_user("boss@example.com", is_staff=True, is_superuser=True))
    assert client.get(f"/admin/feedback/report/?{query}", follow=True).status_code == 200


def test_a_value_that_a_column_cannot_have_is_refused(client: Client, sign_in: SignIn) -> None:  # O1
    """The status of a job is an enum of PostgreSQL."""
    sign_in(client, make_user("boss@example.com", is_staff=True, is_superuser=True))
    rows.make("procrastinate.ProcrastinateJob", 1)
    address = "/admin/procrastinate/procrastinatejob/"
    assert client.get(f"{address}?status__exact=nonsense").status_code == 400
    assert client.get(f"{address}?status=nonsense").status_code == 400
    assert client.get(f"{address}?status__exact=todo").status_code == 200


def test_an_empty_name_of_a_column_is_none(client: Client, sign_in: SignIn) -> None:  # O1
    sign_in(client, make_user("boss@example.com", is_staff=True, is_superuser=True))
    [job] = rows.make("procrastinate.ProcrastinateJob", 1)
    assert client.get(f"/admin/procrastinate/procrastinatejob/{job.pk}/change/?_to_field=").status_code == 200
