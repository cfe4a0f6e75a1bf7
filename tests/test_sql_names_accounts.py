"""Usage is queried by account only, so that it can be spread over machines. `conftest` checks this in every test."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection, connections

from credits.ledger import audit
from credits.models import UsageEvent, UsageRollup
from credits.reports import csv_export, usage
from credits.reports.spans import Span
from sidekick.accounts.models import User
from tests import sent_sql
from tests.accounts_named import USAGE, unnamed
from tests.credits.books import NOW, use

GOOD = [
    "SELECT * FROM credits_usageevent WHERE account_id = %s AND (credits > 1 OR credits < 0)",
    "SELECT * FROM credits_usageevent WHERE account_id IN (%s, %s)",
    "SELECT * FROM credits_usageevent WHERE account_id = ANY(%s)",
    "SELECT * FROM credits_usageevent e WHERE e.account_id IN (SELECT account_id FROM credits_wallet)",
    "SELECT sum(e.credits) FROM json_to_recordset(%s) AS n(a uuid) JOIN credits_usageevent e ON e.account_id = n.a",
    "SELECT 1 FROM credits_wallet w LEFT JOIN credits_usageevent e ON e.account_id = %s",
    "SELECT 1 FROM credits_wallet w JOIN credits_usageevent e USING (account_id) WHERE w.account_id = %s",
    "SELECT 1 FROM credits_usageevent e JOIN credits_usagerollup r USING (account_id) WHERE account_id = %s",
    "SELECT (SELECT 1 FROM credits_usageevent e WHERE e.account_id = w.account_id) FROM w WHERE w.account_id = %s",
    "WITH s AS (SELECT 1 AS a) SELECT 1 FROM s, LATERAL (SELECT 1 FROM credits_usageevent WHERE account_id = s.a) e",
    "WITH credits_usageevent AS (SELECT 1) SELECT * FROM credits_usageevent",
    "INSERT INTO credits_usageevent (account_id, credits) VALUES (%s, %s) ON CONFLICT DO NOTHING",
    "INSERT INTO credits_usagerollup (account_id) SELECT account_id FROM credits_usageevent WHERE account_id = %s",
    "UPDATE credits_usagerollup r SET credits = n.c FROM (VALUES (%s, %s)) AS n(a, c) WHERE r.account_id = n.a",
    "DELETE FROM credits_usageevent WHERE account_id = %s",
    "COPY (SELECT * FROM credits_usageevent WHERE account_id = %(account)s) TO STDOUT",
    "SELECT create_distributed_table('credits_usageevent', 'account_id')",
    "SELECT 'credits_usageevent', 100 %% 7",
]
BAD = [
    "SELECT count(*) FROM credits_usageevent",
    "SELECT * FROM credits_usageevent WHERE request_id = %s",
    "SELECT * FROM credits_usageevent WHERE account_id = %s OR credits > 1",
    "SELECT * FROM credits_usageevent WHERE NOT account_id = %s",
    "SELECT * FROM credits_usageevent WHERE account_id <> %s",
    "SELECT * FROM credits_usageevent WHERE account_id NOT IN (%s)",
    "SELECT * FROM credits_usageevent WHERE account_id::text = %s",
    "SELECT * FROM credits_usageevent WHERE account_id = account_id",
    "SELECT account_id = %s FROM credits_usageevent",
    "SELECT 1 FROM credits_usageevent e, credits_wallet w WHERE w.account_id = %s",
    "SELECT 1 FROM credits_usageevent e JOIN credits_wallet w USING (account_id)",
    "SELECT 1 FROM credits_usageevent e JOIN credits_usagerollup r USING (account_id)",
    "SELECT 1 FROM credits_usageevent e LEFT JOIN credits_wallet w ON e.account_id = %s",
    "SELECT 1 FROM credits_usageevent e LEFT JOIN json_to_recordset(%s) AS n(a uuid) ON e.account_id = n.a",
    "SELECT 1 FROM credits_usageevent e FULL JOIN credits_wallet w ON e.account_id = %s",
    "SELECT 1 FROM (SELECT * FROM credits_usageevent) e WHERE account_id = %s",
    "SELECT 1 FROM credits_usageevent WHERE account_id = %s UNION ALL SELECT 1 FROM credits_usagerollup",
    "SELECT 1 FROM credits_wallet WHERE account_id = %s AND account_id IN (SELECT account_id FROM credits_usageevent)",
    "SELECT (SELECT count(*) FROM credits_usageevent e WHERE e.account_id = w.account_id) FROM credits_wallet w",
    "SELECT 1 FROM credits_usagerollup WHERE account_id = %s ORDER BY (SELECT max(credits) FROM credits_usageevent)",
    "WITH gone AS (DELETE FROM credits_usageevent RETURNING *) SELECT 1 FROM gone WHERE account_id = %s",
    "INSERT INTO credits_usageevent VALUES (%s)",
    "WITH credits_usageevent AS (SELECT * FROM credits_usageevent) SELECT * FROM credits_usageevent",
    "INSERT INTO credits_usagerollup (account_id) SELECT account_id FROM credits_usageevent",
    "INSERT INTO credits_usageevent (account_id) VALUES (%s) ON CONFLICT (request_id) DO UPDATE SET account_id = %s",
    "UPDATE credits_usagerollup r SET credits = w.debt FROM credits_wallet w WHERE w.account_id = %s",
    "UPDATE credits_usagerollup SET account_id = %s WHERE account_id = %s",
    "DELETE FROM credits_usageevent WHERE occurred_at < %s",
    "DELETE FROM credits_usageevent e USING credits_wallet w WHERE e.account_id = w.account_id",
    "COPY (SELECT * FROM credits_usageevent) TO STDOUT",
    "COPY credits_usageevent FROM STDIN",
    "TRUNCATE credits_wallet, credits_usageevent",
    "EXPLAIN SELECT * FROM credits_usageevent",
    "SELECT account_id = %s FORM credits_usageevent",
]


@pytest.mark.parametrize("statement", GOOD)
def test_a_statement_that_names_accounts_passes(statement: str) -> None:
    assert unnamed(statement, bound=True) == ()


@pytest.mark.parametrize("statement", BAD)
def test_a_statement_that_leaves_accounts_out_is_refused(statement: str) -> None:
    assert unnamed(statement, bound=True)


def test_the_tables_watched_are_those_of_usage() -> None:
    assert {model._meta.db_table for model in (UsageEvent, UsageRollup)} == USAGE


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements refused inside the test, which sends them itself, as if our code did."""
    monkeypatch.setattr(sent_sql, "sender", lambda: "our code")
    yield sent_sql.refused
    sent_sql.refused.clear()


WHOLE = "SELECT count(*) FROM credits_usageevent"


def by_orm() -> None:
    UsageEvent.objects.count()


def by_iterator() -> None:
    list(UsageEvent.objects.iterator(chunk_size=2))


def by_cursor() -> None:
    with connection.cursor() as cursor:
        cursor.execute(WHOLE)


def by_many() -> None:
    with connection.cursor() as cursor:
        cursor.executemany("DELETE FROM credits_usageevent WHERE request_id = %s", [["a"], ["b"]])


def by_psycopg() -> None:
    connection.ensure_connection()
    connection.connection.execute(WHOLE)


def by_stream() -> None:
    connection.ensure_connection()
    with connection.connection.cursor() as cursor:
        list(cursor.stream(WHOLE))


def by_copy() -> None:
    connection.ensure_connection()
    with connection.connection.cursor() as cursor, cursor.copy(f"COPY ({WHOLE}) TO STDOUT") as rows:
        list(rows)


def by_thread() -> None:
    def work() -> None:
        by_cursor()
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("send", [by_orm, by_iterator, by_cursor, by_many, by_psycopg, by_stream, by_copy, by_thread])
def test_no_way_to_the_database_leads_past(noted: list[str], send: Callable[[], None]) -> None:
    send()
    assert any("our code sent a statement with" in sentence for sentence in noted)


@pytest.mark.django_db
def test_what_our_code_sends_is_told_with_its_place(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "CHECKS", {"wrong": "SELECT account_id, '' FROM credits_usagerollup w WHERE {accounts}"})
    assert list(audit.differences()) == []
    [refused] = sent_sql.refused
    sent_sql.refused.clear()
    assert refused.startswith("credits/ledger/audit.py:")


@pytest.mark.django_db
def test_what_tests_ask_themselves_is_their_business() -> None:
    UsageEvent.objects.count()
    assert sent_sql.refused == []


@pytest.mark.django_db
def test_what_our_code_asks_is_watched_and_passes(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch that sees no statements at all would pass every other test."""
    monkeypatch.setattr(sent_sql, "unnamed", lambda text, *, bound: ["anything"])
    use(alice, 1)
    span = Span(NOW - timedelta(days=1), NOW + timedelta(days=1))
    usage.usage_page(alice.id, span)
    csv_export.requests(alice.id, span).close()
    seen = {refused.split(":")[0] for refused in sent_sql.refused}
    sent_sql.refused.clear()
    assert seen == {
        "credits/usage/storing.py",
        "credits/ledger/rollover.py",
        "credits/reports/usage.py",
        "credits/reports/csv_export.py",
    }


@pytest.mark.parametrize("name", sent_sql.EXCEPTIONS)
def test_every_exception_is_needed(name: str) -> None:
    _, texts = sent_sql.EXCEPTIONS[name]
    assert {text for text in texts if not unnamed(text, bound=True)} == set()


@pytest.mark.django_db
def test_every_exception_is_still_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(sent_sql, "note", lambda text, *, bound: sent.append(text))
    call_command("audit_credits", stdout=io.StringIO())
    assert set(sent) >= sent_sql.EXCEPTED
