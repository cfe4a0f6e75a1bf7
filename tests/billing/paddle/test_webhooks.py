"""The webhook takes signed events and refuses everything else with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from billing.models import PaddleEvent, Transaction
from billing.paddle import inbox
from billing.paddle.schemas import Envelope
from billing.paddle.webhooks import MAX_BODY
from tests.billing.bodies import SECRET, TRANSACTION, event, post, sign, stored_snapshots, subscription, transaction
from tests.credits.books import at_once, many_connections

pytestmark = pytest.mark.django_db


def assert_refused(response: Any, status: int, code: str) -> str:
    """Refused in words, and stored nowhere."""
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/problem+json")
    problem: dict[str, Any] = response.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["detail"]
    assert not PaddleEvent.objects.exists()
    assert stored_snapshots() == {}
    return str(problem["detail"])


def padded(size: int) -> bytes:
    """A signed event of exactly this size."""
    body = json.dumps(event(1, "transaction.completed", transaction())).encode()
    return body + b" " * (size - len(body))


def test_an_event_is_stored_as_it_was_sent_and_applied() -> None:  # P1
    sent = b"  " + json.dumps(event(1, "transaction.completed", transaction()), indent=3).encode()
    response = post(sent)
    assert (response.status_code, response.json()["state"], response.json()["duplicate"]) == (200, "applied", False)
    stored = PaddleEvent.objects.get()
    assert stored.body == sent.decode()
    assert (stored.event_id, stored.notification_id) == (f"evt_01k{1:023}", f"ntf_01k{1:023}")
    assert (stored.event_type, stored.entity_id) == ("transaction.completed", TRANSACTION)
    assert (stored.state, stored.attempts, stored.error, stored.due_at) == ("applied", 1, "", None)
    assert stored.applied_at
    assert Transaction.objects.get().id == TRANSACTION


@pytest.mark.parametrize(
    ("written", "microsecond"),
    [
        ("2026-03-16T09:20:31Z", 0),
        ("2026-03-16T09:20:31.004Z", 4000),
        ("2026-03-16T09:20:31.004120Z", 4120),
        ("2026-03-16T09:20:31.004120417Z", 4120),
        ("2026-03-16T10:20:31.5+01:00", 500000),
    ],
)
def test_times_are_read_to_the_microsecond(written: str, microsecond: int) -> None:  # P1
    post(event(1, "transaction.completed", transaction(), written))
    assert PaddleEvent.objects.get().occurred_at == datetime(2026, 3, 16, 9, 20, 31, microsecond, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "code"),
    [("", "unsigned"), ("nonsense", "unsigned"), ("ts=1778414850;h1=00ff", "wrong_signature")],
)
def test_what_paddle_did_not_sign_is_refused(header: str, code: str) -> None:  # P1
    assert assert_refused(post(event(1, "transaction.completed", transaction()), header=header), 401, code)[-1] == "."


def test_a_header_that_is_not_sent_at_all_is_refused() -> None:  # P1
    response = Client().post("/webhooks/paddle", b"{}", content_type="application/json")
    assert_refused(response, 401, "unsigned")


def test_a_body_that_was_changed_on_the_way_is_refused() -> None:  # P1
    bought = json.dumps(event(1, "transaction.completed", transaction(137))).encode()
    more = bought.replace(b"137", b"300")
    assert_refused(post(more, header=sign(bought, secret=SECRET, at=timezone.now())), 401, "wrong_signature")


@pytest.mark.parametrize("age", [330, -330, 86400])
def test_a_signature_from_another_time_is_refused(age: int) -> None:  # P1
    assert_refused(post(event(1, "transaction.completed", transaction()), age=age), 401, "stale")


def test_the_age_limit_is_a_setting(settings: Settings) -> None:  # P1
    settings.PADDLE_WEBHOOK_MAX_AGE = timedelta(days=4)
    assert post(event(1, "transaction.completed", transaction()), age=86400).status_code == 200


def test_the_secret_before_is_good_during_rotation(settings: Settings) -> None:  # P1
    settings.PADDLE_WEBHOOK_SECRETS = ["pdl_ntfset_the_next_one", SECRET]
    assert post(event(1, "transaction.completed", transaction())).status_code == 200


def test_without_a_secret_everything_is_refused(settings: Settings) -> None:  # P1
    settings.PADDLE_WEBHOOK_SECRETS = []
    raw = json.dumps(event(1, "transaction.completed", transaction())).encode()
    assert_refused(post(raw), 401, "wrong_signature")
    assert_refused(post(raw, header=sign(raw, secret="", at=timezone.now())), 401, "wrong_signature")


def test_a_body_over_256_kib_is_refused_and_one_of_256_kib_is_not() -> None:  # P1
    assert_refused(post(padded(MAX_BODY + 1)), 413, "too_large")
    assert_refused(post(padded(3_000_000)), 413, "too_large")
    assert post(padded(MAX_BODY)).status_code == 200


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe", id="not text"),
        pytest.param(b'{"event_id": "\xff"}', id="not UTF-8"),
        pytest.param(b"event_id=evt_1", id="a form"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[" * 200_000, id="nested without end"),
        pytest.param(b'{"data": ' + b"9" * 100_000 + b"}", id="endless number"),
        pytest.param(json.dumps(event(1, "a.b", {"x": float("nan")})).encode(), id="NaN"),
    ],
)
def test_what_is_no_event_is_refused(raw: bytes) -> None:  # P1
    assert_refused(post(raw), 400, "malformed")


@pytest.mark.parametrize(
    "changes",
    [
        {"event_id": None},
        {"event_id": 7},
        {"event_id": ""},
        {"event_id": "ntf_01kaaaaaaaaaaaaaaaaaaaaaaa"},
        {"event_id": "evt_" + "a" * 60},
        {"event_id": "evt_1\u0000"},
        {"event_id": "evt_1\n"},
        {"event_type": None},
        {"event_type": ""},
        {"event_type": "transaction"},
        {"event_type": "transaction.completed\u0000"},
        {"event_type": "a." + "b" * 100},
        {"occurred_at": None},
        {"occurred_at": 1778414850},
        {"occurred_at": "yesterday"},
        {"occurred_at": "2026-03-16T09:20:31"},
        {"occurred_at": "0001-01-01T00:00:00+05:00"},
        {"notification_id": "../../etc"},
        {"data": None},
        {"data": []},
    ],
    ids=str,
)
def test_an_event_that_lacks_what_all_have_is_refused_and_the_field_named(changes: dict[str, object]) -> None:  # P1
    detail = assert_refused(post(event(1, "transaction.completed", transaction(), **changes)), 400, "malformed")
    assert next(iter(changes)) in detail


@pytest.mark.parametrize("method", ["get", "head", "put", "delete", "options"])
def test_only_post_is_answered(client: Client, method: str) -> None:  # P1
    response = getattr(client, method)("/webhooks/paddle")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


def test_a_broken_database_is_told_to_paddle_in_the_shape_of_the_others(  # P1
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def break_down(*_: object, **__: object) -> None:
        raise RuntimeError("gone")

    monkeypatch.setattr(inbox, "receive", break_down)
    raw = json.dumps(event(1, "transaction.completed", transaction())).encode()
    response = Client(raise_request_exception=False).post(
        "/webhooks/paddle", raw, content_type="application/json",
        headers={"Paddle-Signature": sign(raw, secret=SECRET, at=timezone.now())},
    )  # fmt: skip
    assert_refused(response, 500, "error")


def test_a_retry_and_a_replay_change_nothing() -> None:  # P1 P2
    first = event(1, "transaction.completed", transaction(137))
    post(first)
    before = stored_snapshots(), PaddleEvent.objects.values().get()
    for again in (first, first | {"notification_id": "ntf_01kzzzzzzzzzzzzzzzzzzzzzzz"}):
        response = post(again)
        assert (response.status_code, response.json()["duplicate"]) == (200, True)
    assert (stored_snapshots(), PaddleEvent.objects.values().get()) == before


@pytest.mark.parametrize("event_type", ["address.created", "payment_method.saved", "weather.changed", "a.b.c"])
def test_a_type_that_nothing_depends_on_is_stored_and_answered_with_200(event_type: str) -> None:  # P2
    response = post(event(1, event_type, {"id": "add_1", "anything": [1, None]}))
    assert (response.status_code, response.json()["state"]) == (200, "ignored")
    assert PaddleEvent.objects.get().due_at is None
    assert stored_snapshots() == {}


def test_an_event_that_cannot_be_applied_is_kept_with_its_error_and_answered_with_200() -> None:  # P3
    response = post(event(1, "transaction.completed", transaction(details=None)))
    assert (response.status_code, response.json()["state"]) == (200, "failed")
    stored = PaddleEvent.objects.get()
    assert (stored.state, stored.attempts, stored.applied_at) == ("failed", 1, None)
    assert "details" in stored.error
    assert stored.due_at == stored.received_at + timedelta(minutes=1)
    assert stored_snapshots() == {}


def test_an_event_that_the_database_refuses_is_kept_with_its_error_and_without_the_row() -> None:  # P3
    hurt = transaction(invoice_number="maya@example.com " * 10)
    assert post(event(1, "transaction.completed", hurt)).json()["state"] == "failed"
    error = PaddleEvent.objects.get().error
    assert "too long" in error
    assert "maya" not in error
    # PostgreSQL's text can't hold NUL; whatever Paddle sends, the event is kept.
    assert post(event(2, "transaction.completed", transaction(custom_data={"x": "maya\0"}))).json()["state"] == "failed"
    assert "maya" not in PaddleEvent.objects.exclude(error=error).get().error
    assert post(event(3, "transaction.completed", transaction())).json()["state"] == "applied"


@pytest.mark.django_db(transaction=True)
def test_what_became_of_another_delivery_of_it_counts_when_this_one_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    body = event(1, "transaction.completed", transaction())  # P1 P3
    take, note_failure = inbox._upsert, inbox._mark_failed

    def fail_once(envelope: Envelope, now: datetime) -> bool:
        monkeypatch.setattr(inbox, "_upsert", take)
        raise ValueError("Not now.")

    def come_second(failed: PaddleEvent, error: Exception, now: datetime) -> None:
        assert [answer.json()["state"] for answer in at_once([lambda: post(body)])] == ["applied"]
        note_failure(failed, error, now)

    monkeypatch.setattr(inbox, "_upsert", fail_once)
    monkeypatch.setattr(inbox, "_mark_failed", come_second)
    answer = post(body).json()
    assert (answer["state"], answer["duplicate"]) == ("applied", True)
    assert PaddleEvent.objects.get().error == ""


def test_a_delivery_costs_a_handful_of_statements(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(8):
        post(event(1, "subscription.created", subscription()))
    with django_assert_num_queries(4):
        post(event(1, "subscription.created", subscription()))


@many_connections
@pytest.mark.django_db(transaction=True)
def test_fifty_deliveries_of_one_event_at_once_store_it_once() -> None:  # P1 P2
    body = event(1, "transaction.completed", transaction())
    answers = at_once([lambda: post(body)] * 50)
    assert [answer.status_code for answer in answers] == [200] * 50
    assert sorted(answer.json()["duplicate"] for answer in answers) == [False] + [True] * 49
    assert PaddleEvent.objects.get().attempts == 1
    assert Transaction.objects.get().status == "completed"


@many_connections
@pytest.mark.django_db(transaction=True)
def test_events_of_one_entity_at_once_leave_the_newest_snapshot() -> None:  # P2
    bodies = [
        event(number, "transaction.updated", transaction(number + 1), f"2026-03-18T14:05:00.{number:06}Z")
        for number in range(30)
    ]

    def delivery(body: dict[str, Any]) -> Callable[[], str]:
        return lambda: str(post(body).json()["state"])

    states = at_once([delivery(body) for body in bodies])
    assert set(states) <= {"applied", "stale"}
    [line] = Transaction.objects.get().line_items
    assert line["quantity"] == 30
    assert PaddleEvent.objects.count() == 30
