"""Forwarding to the team's webhook, by real HTTP to a server of the test's own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import time_machine
from django.db import OperationalError, connection
from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob
from procrastinate.jobs import Job
from pytest_django import Settings
from standardwebhooks import Webhook, WebhookVerificationError

from feedback import tasks, triage, webhook
from feedback.models import Delivery
from feedback.webhook import NotDelivered
from sidekick.accounts.models import User
from tests.conftest import make_user
from tests.credits.books import at_once
from tests.feedback.conftest import NOW
from tests.feedback.reports import made

SECRET = "a secret of twenty-five"


@dataclass
class Hook:
    """The team's webhook: it answers with `status`, and keeps each request."""

    url: str = ""
    status: int = 204
    location: str = ""
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.heard]


@pytest.fixture
def hook(settings: Settings) -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.heard.append((dict(self.headers), body))
            self.send_response(hook.status)
            if hook.location:
                self.send_header("Location", hook.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hook.url = f"http://127.0.0.1:{server.server_port}/reports"
    settings.FEEDBACK_WEBHOOK_URL, settings.FEEDBACK_WEBHOOK_SECRET = hook.url, SECRET
    yield hook
    server.shutdown()
    server.server_close()


@pytest.mark.django_db
def test_a_report_and_each_change_are_told_signed(hook: Hook, alice: User, olga: User) -> None:  # F6
    report = made(alice, title="Café is broken", page="/dashboard/credits", pictured=2)
    triage.answer(report.pk, status="planned", reply="Soon", by=olga, reason="Secret reason", now=timezone.now())
    for delivery in Delivery.objects.order_by("change_id"):
        tasks.forward(change_id=delivery.change_id)
    created, changed = hook.bodies
    assert created["event_type"] == "report.created"
    assert created["occurred_at"] == report.created_at.isoformat()
    assert created["data"] == {
        "id": str(report.id),
        "reference": report.reference,
        "kind": "bug",
        "title": "Café is broken",
        "description": "It broke.",
        "priority": "low",
        "status": "new",
        "reply": "",
        "account_id": str(alice.id),
        "page": "/dashboard/credits",
        "browser": "",
        "app_version": "",
        "images": 2,
        "created_at": report.created_at.isoformat(),
    }
    assert changed["event_type"] == "report.changed"
    assert (changed["data"]["status"], changed["data"]["reply"]) == ("planned", "Soon")
    assert changed["event_id"] != created["event_id"]
    for headers, body in hook.heard:
        assert b"alice@example.com" not in body
        assert b"Secret reason" not in body
        assert headers["webhook-id"] == json.loads(body)["event_id"]
        assert abs(int(headers["webhook-timestamp"]) - NOW.timestamp()) < 60
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
        assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert not Delivery.objects.filter(delivered_at=None).exists()


@pytest.mark.django_db
@pytest.mark.parametrize("secret", [SECRET, "whsec_" + base64.b64encode(b"k" * 24).decode()], ids=["text", "whsec"])
def test_receivers_verify_with_the_library_of_standard_webhooks(
    hook: Hook, alice: User, settings: Settings, secret: str
) -> None:  # F6
    settings.FEEDBACK_WEBHOOK_SECRET = secret
    tasks.forward(change_id=made(alice).changes.get().pk)
    [(headers, body)] = hook.heard
    key = secret if secret.startswith("whsec_") else secret.encode()
    assert Webhook(key).verify(body, headers)["event_type"] == "report.created"
    with pytest.raises(WebhookVerificationError):
        Webhook(key).verify(body.replace(b"It broke.", b"It works."), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(b"another key").verify(body, headers)


@pytest.mark.django_db
@pytest.mark.parametrize("status", [301, 307, 400, 404, 410, 429, 500, 503])
def test_anything_but_a_yes_is_kept_and_tried_again(hook: Hook, alice: User, status: int) -> None:  # F6
    hook.status, hook.location = status, f"{hook.url}/elsewhere" if status < 400 else ""
    change = made(alice).changes.get()
    with pytest.raises(NotDelivered):
        tasks.forward(change_id=change.pk)
    delivery = Delivery.objects.get()
    assert (delivery.attempts, delivery.delivered_at, delivery.error) == (1, None, f"answered {status}")
    assert len(hook.heard) == 1
    hook.status, hook.location = 200, ""
    tasks.forward(change_id=change.pk)
    delivery.refresh_from_db()
    assert (delivery.attempts, delivery.error) == (2, "")
    assert delivery.delivered_at
    first, second = hook.bodies
    assert first["event_id"] == second["event_id"]
    assert len({headers["webhook-id"] for headers, _ in hook.heard}) == 1


@pytest.mark.django_db
def test_a_server_that_is_not_there_is_an_error_without_its_address(alice: User, settings: Settings) -> None:  # F6
    settings.FEEDBACK_WEBHOOK_URL, settings.FEEDBACK_WEBHOOK_SECRET = "http://127.0.0.1:9/key-in-path", SECRET
    change = made(alice).changes.get()
    with pytest.raises(NotDelivered):
        webhook.deliver(change.pk, now=NOW)
    assert Delivery.objects.get().error == "ConnectionError"


@pytest.mark.django_db
def test_what_was_delivered_is_not_told_again(hook: Hook, alice: User) -> None:
    change = made(alice).changes.get()
    for _ in range(2):
        tasks.forward(change_id=change.pk)
    assert len(hook.heard) == 1


@pytest.mark.django_db
def test_without_a_webhook_nothing_is_noted(alice: User) -> None:
    made(alice)
    assert not Delivery.objects.exists()
    assert not ProcrastinateJob.objects.filter(task_name=webhook.TASK).exists()


@pytest.mark.django_db(transaction=True)
def test_a_real_worker_forwards_and_tries_again_later(
    hook: Hook, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:  # F6 O4
    # The database's clock can't be moved: seen from there a pause in 2040 is not over yet.
    clock.move_to(datetime(2040, 1, 1, tzinfo=UTC))
    hook.status = 500
    made(make_user("alice@example.com"))
    run_worker(monkeypatch)
    job = ProcrastinateJob.objects.get(task_name=webhook.TASK)
    assert job.status == "todo"
    assert job.scheduled_at
    assert timedelta(seconds=2) < job.scheduled_at - timezone.now() < timedelta(seconds=5)
    assert len(hook.heard) == Delivery.objects.get().attempts == 1


def test_pauses_grow_and_end_within_a_day() -> None:  # F6
    pauses = []
    for attempts in range(10):
        job = Job(id=1, queue="", lock=None, queueing_lock=None, task_name=webhook.TASK, attempts=attempts)
        decision = tasks.GROWING.get_retry_decision(exception=NotDelivered(), job=job)
        if decision and decision.retry_at:
            pauses.append(round((decision.retry_at - timezone.now()).total_seconds()))
    assert pauses == [4**n for n in range(1, 9)]
    assert sum(pauses) < 25 * 3600


def run_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run all jobs that wait, without periodic ones, and close the worker's connections."""
    monkeypatch.setattr(app.periodic_registry, "periodic_tasks", {})
    worker = app.with_connector(app.connector.get_worker_connector())  # type: ignore[attr-defined]
    # Playwright's loop may run in this thread.
    at_once([lambda: worker.run_worker(wait=False, install_signal_handlers=False, listen_notify=False)])
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_database_that_was_away_for_a_moment_loses_no_delivery() -> None:  # F6
    job = Job(id=1, queue="default", lock=None, queueing_lock=None, task_name="x", attempts=0)
    assert tasks.GROWING.get_retry_decision(exception=OperationalError("terminating connection"), job=job)
