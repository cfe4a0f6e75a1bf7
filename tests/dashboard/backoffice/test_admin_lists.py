"""Lists of the operators' admin read the rows they show and not the whole table, by PostgreSQL's plans."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
import time_machine
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing.models import PaddleEvent
from sidekick.accounts.models import DeviceSession, Letter, User
from sidekick.admin.filters import LatestValues
from tests.conftest import make_user
from tests.dashboard.backoffice import rows
from tests.dashboard.backoffice.test_admin import SignIn, address

pytestmark = pytest.mark.django_db
# Tables of a few rows, whatever becomes of the house.
SMALL = {
    "accounts.ServiceKey", "auth.Group", "billing.EventFeed", "billing.PlanPrice", "credits.AIModel", "credits.Plan",
}  # fmt: skip
LARGE = [model._meta.label for model in admin.site._registry if model._meta.label not in SMALL]
NOW = datetime(2026, 3, 15, 10, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def operator(client: Client, sign_in: SignIn, db: None) -> User:
    user = make_user("operator@example.com", is_staff=True, is_superuser=True)
    sign_in(client, user)
    return user


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """But for what is asked of each row that is shown."""
    yield plan
    for below in plan.get("Plans", []):
        if below["Parent Relationship"] != "SubPlan":
            yield from nodes(below)


def reads_all(sql: str, table: str) -> list[str]:
    """Nodes of a statement's plan that read the whole table, although PostgreSQL was told to avoid that."""
    with connection.cursor() as cursor:
        for way in ("seqscan", "bitmapscan", "sort", "hashjoin", "mergejoin"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql.replace('%', '%%')}", [])
        plan = cursor.fetchone()[0]
    found = []
    for node in nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]):
        beneath = [other["Node Type"] for other in nodes(node)]
        if node.get("Relation Name") == table and node["Node Type"] == "Seq Scan":
            found.append("Seq Scan")
        if node["Node Type"] in {"Sort", "Unique", "Aggregate"} and "Limit" not in beneath:
            found.append(node["Node Type"])
    return found


@pytest.mark.parametrize("label", LARGE)
def test_no_list_reads_the_whole_table(client: Client, label: str, operator: User) -> None:  # O1
    [table] = {model._meta.db_table for model in admin.site._registry if model._meta.label == label}
    rows.make(label, 3)
    client.get(address(label))
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address(label)).status_code == 200
    asked = [q["sql"] for q in queries if f'FROM "{table}"' in q["sql"]]
    assert asked
    if label == "admin.LogEntry":
        # The operators and tables that the log names are two small sets, read from indexes.
        asked = [sql for sql in asked if "SELECT DISTINCT U0" not in sql]
    assert {sql[:300]: found for sql in asked if (found := reads_all(sql, table))} == {}


def test_what_reads_the_whole_table_is_found() -> None:
    assert reads_all(
        'SELECT id FROM "accounts_devicesession" ORDER BY last_seen DESC LIMIT 50', "accounts_devicesession"
    )
    assert reads_all("SELECT DISTINCT event_type FROM billing_paddleevent ORDER BY 1", "billing_paddleevent")
    assert reads_all("SELECT count(*) FROM accounts_letter", "accounts_letter")
    assert not reads_all("SELECT id FROM accounts_letter ORDER BY created_at DESC, id LIMIT 50", "accounts_letter")


def test_dates_lead_to_days_months_and_years(client: Client, operator: User) -> None:  # O1
    moments = {"now": NOW, "week": datetime(2026, 3, 9, tzinfo=UTC), "month": datetime(2026, 2, 28, 23, 59, tzinfo=UTC),
               "year": datetime(2025, 12, 31, tzinfo=UTC), "older": datetime(2024, 1, 1, tzinfo=UTC)}  # fmt: skip
    for name, moment in moments.items():
        Letter.objects.create(to=f"{name}@example.com", template="t", subject="s", created_at=moment)
    page = client.get(address("accounts.Letter")).content.decode()
    for words in ("Today", "Past 7 days", "March 2026", "April 2025", "2025", "2024"):
        assert f">{words}</a>" in page
    assert "April 2024" not in page
    links = _links(page)
    for words, shown in (
        ("Today", {"now"}),
        ("Past 7 days", {"now", "week"}),
        ("March 2026", {"now", "week"}),
        ("February 2026", {"month"}),
        ("2025", {"year"}),
        ("2024", {"older"}),
        ("Any date", set(moments)),
    ):
        listed = client.get(address("accounts.Letter") + links[words]).content.decode()
        assert {name for name in moments if f"{name}@example.com" in listed} == shown, words


def test_a_list_offers_the_values_that_its_newest_rows_have(
    client: Client, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:  # O1
    monkeypatch.setattr(LatestValues, "MOST", 2)
    for day, kind in enumerate(["address.created", "customer.created", "customer.updated"], start=1):
        PaddleEvent.objects.create(
            event_id=f"evt_{day}", event_type=kind, received_at=NOW.replace(day=day), occurred_at=NOW, body="{}"
        )
    page = client.get(address("billing.PaddleEvent")).content.decode()
    assert "?event_type=customer.updated" in page
    assert "?event_type=customer.created" in page
    assert "?event_type=address.created" not in page
    asked = client.get(address("billing.PaddleEvent"), {"event_type": "address.created"}).content.decode()
    assert "evt_1" in asked
    assert "evt_3" not in asked


def test_sessions_stand_as_they_began(client: Client, alice: User, operator: User) -> None:  # O1
    started = [DeviceSession.objects.create(user=alice, current_jti=alice.id, created_at=NOW.replace(day=day))
               for day in (2, 3, 1)]  # fmt: skip
    page = client.get(address("accounts.DeviceSession")).content.decode()
    places = [page.index(str(session.id)) for session in started]
    assert places[1] < places[0] < places[2]


def test_the_operator_log_stands_newest_first(client: Client, operator: User) -> None:  # O2
    made = rows.make("admin.LogEntry", 2)
    page = client.get(address("admin.LogEntry")).content.decode()
    of = {entry.pk: page.index(address("admin.LogEntry", "change", entry.pk)) for entry in made}
    assert of[max(of)] < of[min(of)]
    assert LogEntry.objects.count() == len(of)


def _links(page: str) -> dict[str, str]:
    """Addresses by their words."""
    return {words: unescape(href) for href, words in re.findall(r'<a href="(\?[^"]*)"[^>]*>([^<]+)</a>', page)}
