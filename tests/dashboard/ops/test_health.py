"""Probes of a running project."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django import app
from pytest_django import DjangoAssertNumQueries, Settings

from billing.models import PaddleEvent
from dashboard.ops import health
from sidekick.accounts.models import Letter

pytestmark = pytest.mark.django_db


def ready(client: Client, query: str = "") -> tuple[int, dict[str, Any]]:
    response = client.get(f"/readyz{query}")
    return response.status_code, json.loads(response.content)


def run_sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture(autouse=True)
def _empty_queue(db: None) -> None:
    """Jobs of tests that really commit stay in the queue: the flush after them passes its tables by."""
    run_sql("DELETE FROM procrastinate_jobs")
    run_sql("DELETE FROM procrastinate_workers")


@pytest.fixture
def worker() -> None:
    run_sql("SELECT procrastinate_register_worker_v1()")


def test_alive_means_that_the_process_answers(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:  # O3
    with django_assert_num_queries(0):
        response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_balancer_asks_by_address_over_plain_http(client: Client, settings: Settings, path: str) -> None:  # O3
    settings.SECURE_SSL_REDIRECT, settings.ALLOWED_HOSTS = True, ["app.example.com"]
    client = Client()
    assert client.get(path, HTTP_HOST="10.1.2.3:8000").status_code == 200
    assert client.head(path, HTTP_HOST="10.1.2.3:8000").status_code == 200
    assert client.get("/pricing", HTTP_HOST="app.example.com").status_code == 301


@pytest.mark.usefixtures("worker")
def test_ready_when_all_is_well(client: Client, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:  # O3
    with django_assert_max_num_queries(8):
        status, body = ready(client, "?strict=1")
    assert (status, body["status"]) == (200, "ready")
    assert set(body["checks"]) == {"database", "migrations", "worker", "webhooks", "jobs", "letters"}
    assert all(check["ok"] for check in body["checks"].values())


def test_the_answer_is_never_kept(client: Client) -> None:
    assert client.get("/readyz").headers["Cache-Control"] == "no-store"
    assert client.post("/readyz").status_code == 405


@pytest.mark.usefixtures("worker")
def test_a_database_behind_this_release_is_not_ready(client: Client) -> None:  # O3
    run_sql("DELETE FROM django_migrations WHERE app = 'billing'")
    status, body = ready(client)
    assert (status, body["status"]) == (503, "unavailable")
    assert body["checks"]["migrations"] == {"ok": False, "why": "1 apps are behind: run manage.py migrate."}


@pytest.mark.usefixtures("worker")
def test_a_database_ahead_of_this_release_is_ready(client: Client) -> None:  # O5
    run_sql("INSERT INTO django_migrations (app, name, applied) VALUES ('billing', '9999_to_come', now())")
    assert ready(client)[0] == 200


def degraded(client: Client, name: str) -> str:
    """Why; pages are served all the same, and a monitor hears of it."""
    status, body = ready(client)
    assert (status, body["status"]) == (200, "degraded")
    assert [name for name, check in body["checks"].items() if not check["ok"]] == [name]
    assert ready(client, "?strict=1")[0] == 503
    return str(body["checks"][name]["why"])


def test_no_worker_leaves_the_pages_on_the_net(client: Client) -> None:  # O3
    assert degraded(client, "worker") == "No worker has reported lately."


@pytest.mark.usefixtures("worker")
def test_a_worker_that_fell_silent_is_noticed(client: Client) -> None:  # O3
    run_sql("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '61 seconds'")
    degraded(client, "worker")


def paddle_event(**changed: Any) -> PaddleEvent:
    now = timezone.now()
    return PaddleEvent.objects.create(
        event_id=f"evt_{uuid.uuid4().hex[:26]}", event_type="customer.created", occurred_at=now, body="{}", **changed
    )


@pytest.mark.usefixtures("worker")
def test_an_event_of_paddle_that_waits_is_noticed(client: Client) -> None:  # O3
    longest = timezone.now() - timedelta(minutes=16)
    paddle_event(received_at=longest, state="applied", applied_at=longest, due_at=None)
    assert ready(client, "?strict=1")[0] == 200
    paddle_event(received_at=longest, state="failed", error="why", due_at=timezone.now() + timedelta(hours=1))
    assert degraded(client, "webhooks") == "Events of Paddle wait or fail."


@pytest.mark.usefixtures("worker")
def test_a_job_that_no_worker_takes_is_noticed(client: Client) -> None:  # O3 O4
    app.configure_task("sidekick.accounts.tasks.send_letter").defer(letter_id=str(uuid.uuid4()))
    assert ready(client, "?strict=1")[0] == 200
    run_sql("UPDATE procrastinate_events SET at = now() - interval '6 minutes'")
    assert degraded(client, "jobs") == "Jobs wait for a worker."
    run_sql("UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 hour'")
    assert ready(client, "?strict=1")[0] == 200
    app.configure_task("sidekick.accounts.tasks.send_letter").defer(letter_id=str(uuid.uuid4()))
    run_sql("UPDATE procrastinate_events SET at = now() - interval '6 minutes'")
    degraded(client, "jobs")


@pytest.mark.usefixtures("worker")
def test_a_letter_that_nobody_sends_is_noticed(client: Client) -> None:  # O3
    long_ago = timezone.now() - timedelta(minutes=6)
    Letter.objects.create(template="x", to="someone@example.com", subject="x", due_at=long_ago)
    assert degraded(client, "letters") == "Emails wait to be sent."


def test_a_slow_database_holds_up_nobody() -> None:  # O3
    with pytest.raises(DatabaseError, match="statement timeout"):
        health._ask("SELECT pg_sleep(5)")


@pytest.mark.usefixtures("worker")
def test_the_checks_look_at_indexes_only() -> None:
    """An inbox of millions is not read to find the few that wait."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {health.AGES}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Seq Scan" not in plan, plan


# /metrics

TOKEN = "m" * 20
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def test_without_a_token_there_are_no_metrics(client: Client, settings: Settings) -> None:  # O3
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}])
def test_metrics_are_for_who_knows_the_token(client: Client, settings: Settings, given: dict[str, str]) -> None:  # O3
    settings.METRICS_TOKEN = TOKEN
    response = client.get("/metrics", headers=given)
    assert (response.status_code, response.content) == (401, b"")


@pytest.mark.usefixtures("worker")
def test_metrics_tell_what_waits(client: Client, settings: Settings) -> None:  # O3
    settings.METRICS_TOKEN = TOKEN
    paddle_event(received_at=timezone.now() - timedelta(seconds=90), state="failed", error="why")
    app.configure_task("sidekick.accounts.tasks.send_letter").defer(letter_id=str(uuid.uuid4()))
    response = client.get("/metrics", headers=BEARER)
    lines = response.content.decode().splitlines()
    assert response.headers["Content-Type"].startswith("text/plain")
    for line in (
        "sidekick_database_up 1.0",
        'sidekick_inbox{what="failed"} 1.0',
        'sidekick_jobs{what="todo"} 1.0',
        'sidekick_letters{what="waiting"} 0.0',
        'sidekick_workers{what="alive"} 1.0',
    ):
        assert line in lines
    [age] = [line for line in lines if line.startswith('sidekick_oldest_seconds{what="webhook"}')]
    assert 89 < float(age.split()[1]) < 120
