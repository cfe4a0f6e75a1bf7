"""Log lines and counts of a request: enough to run the project, nothing about a person."""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Iterator

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.utils import timezone
from prometheus_client import REGISTRY
from pytest_django import Settings

from sidekick import logs
from sidekick.accounts import device_sessions, tokens
from sidekick.accounts.models import ServiceKey, User
from sidekick.urls import handler404, handler500
from sidekick.urls import urlpatterns as own

pytestmark = pytest.mark.urls("tests.sidekick.test_metrics")
__all__ = ["handler404", "handler500"]

SECRET = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlMTIz"
PERSON = "alice.liddell@example.com"
PERSONAL = [
    PERSON, "alice", "liddell", "alice.liddell%40example.com", SECRET, "sk_1234567890abcdef", "203.0.113.77",
    "2001:db8::77", "Wonderland", "hunter2", "evil.example",
]  # fmt: skip


def twice(request: HttpRequest, who: str) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO accounts_user (id, email) VALUES (%s, %s)", [uuid.uuid4(), PERSON])
    return HttpResponse()


def mistaken(request: HttpRequest) -> HttpResponse:
    raise ValueError(f"can't read {request.GET['q']}, hunter2 of {PERSON}")


def misread(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::uuid", [request.GET["q"]])
    return HttpResponse()


urlpatterns = [
    *own,
    path("test/misread", misread, name="misread"),
    path("test/twice/<who>", twice, name="twice"),
    path("test/mistaken", mistaken, name="mistaken"),
]


class Lines(logging.Handler):
    """The standard error of a production server."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logs.JsonLines())
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(self.format(record))

    def __str__(self) -> str:
        return "\n".join(self.written)

    def all(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.written]


@pytest.fixture
def lines() -> Iterator[Lines]:
    lines, root, access = Lines(), logging.getLogger(), logging.getLogger("sidekick.access")
    before = access.level
    access.setLevel(logging.INFO)
    root.addHandler(lines)
    yield lines
    root.removeHandler(lines)
    access.setLevel(before)


@pytest.fixture
def browser() -> Client:
    """It brings along something personal wherever a request has room for it."""
    headers = {"User-Agent": "Wonderland", "Authorization": f"Bearer {SECRET}", "X-Request-ID": PERSON}
    headers |= {"X-Forwarded-For": "203.0.113.77", "Referer": f"https://evil.example/?who={PERSON}"}
    return Client(headers=headers, raise_request_exception=False, REMOTE_ADDR="203.0.113.77")


# O3
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (f"/nothing/{PERSON}/of/Wonderland?q={SECRET}", 404),
        ("/accounts/password/reset/key/alice-liddell/?email=alice.liddell%40example.com", 404),
        ("/pricing?utm=alice.liddell%40example.com&token=sk_1234567890abcdef&from=2001:db8::77", 200),
        (f"/test/mistaken?q={PERSON}", 500),
        (f"/test/twice/{PERSON}", 500),
        ("/test/misread?q=Wonderland", 500),
        ("/api/v1/usage?account=alice", 401),
    ],
)
def test_nothing_of_a_request_gets_into_the_log(browser: Client, lines: Lines, asked: str, status: int) -> None:
    assert browser.get(asked).status_code == status
    assert [line["status"] for line in lines.all() if line["logger"] == "sidekick.access"] == [status]
    assert [piece for piece in PERSONAL if piece.lower() in str(lines).lower()] == []


# O3
@pytest.mark.django_db
def test_nothing_of_a_refused_host_form_or_row_gets_into_the_log(browser: Client, lines: Lines, alice: User) -> None:
    assert browser.get("/pricing", HTTP_HOST="alice.evil.example").status_code == 400
    strict = Client(enforce_csrf_checks=True, headers={"Origin": "https://alice.evil.example"})
    assert strict.post("/theme", {"theme": "dark", "name": PERSON}).status_code == 403
    User.objects.filter(id=alice.id).update(email=PERSON)
    assert browser.get(f"/test/twice/{PERSON}").status_code == 500
    assert [piece for piece in PERSONAL if piece.lower() in str(lines).lower()] == []
    assert {"django.security.DisallowedHost", "django.security.csrf"} <= {line["logger"] for line in lines.all()}


@pytest.mark.django_db
def test_an_error_is_told_by_its_type_and_place(browser: Client, lines: Lines) -> None:  # O3
    browser.get(f"/test/twice/{PERSON}")
    [line] = [line for line in lines.all() if line["logger"] == "django.request"]
    error = line["error"]
    assert isinstance(error, dict)
    assert line["message"] == "Internal Server Error: twice"
    assert error["type"] == "django.db.utils.IntegrityError"
    assert error["because"]["type"].startswith("psycopg.errors.")
    assert error["because"]["sqlstate"] == "23502"
    assert any(re.fullmatch(r"tests/sidekick/test_metrics.py:\d+ twice", frame) for frame in error["at"])


@pytest.mark.django_db
def test_each_line_of_a_request_carries_its_id_and_so_does_the_answer(client: Client, lines: Lines) -> None:  # O3
    given = str(uuid.uuid4())
    response = client.get("/nothing", headers={"X-Request-ID": given})
    assert response.headers["X-Request-ID"] == given
    assert [line["request_id"] for line in lines.all()] == [given, given]


@pytest.mark.parametrize("given", ["", PERSON, "x" * 5000, "a\nb", "../../etc", SECRET])
def test_an_odd_request_id_is_replaced(client: Client, given: str) -> None:
    answered = client.get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{32}", answered)


@pytest.mark.django_db
def test_the_access_line_names_the_view_and_no_path(client: Client, lines: Lines) -> None:  # O3
    client.get("/pricing?from=newsletter")
    line = lines.all()[-1]
    assert line["logger"] == "sidekick.access"
    assert (line["method"], line["view"], line["status"]) == ("GET", "dashboard:pricing", 200)
    assert line["message"] == "GET dashboard:pricing 200"
    assert float(str(line["milliseconds"])) > 0
    assert set(line) == {
        "time", "level", "logger", "message", "request_id", "view", "method", "status", "milliseconds",
    }  # fmt: skip


def test_probes_and_files_leave_no_line(client: Client, lines: Lines) -> None:
    client.get("/healthz")
    client.get("/static/logo.svg")
    assert lines.written == []


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("mail to a.b+c@example.co.uk failed", "mail to [email] failed"),
        ("GET /x?email=a%40b.de&code=12 in 5 ms", "GET /x in 5 ms"),
        ("postgresql://sidekick:s3cret@db:5432/x", "postgresql://[login]@db:5432/x"),
        ("from 10.1.2.3 and [2001:db8::1]:443", "from [address] and [[address]]:443"),
        ("at 12:34:56 version 5.2.19 took 1.5 s", "at 12:34:56 version 5.2.19 took 1.5 s"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [token]"),
        ("key sk_abcdefgh1234", "key [key]"),
        ("paddle event evt_01 transaction.completed: applied", "paddle event evt_01 transaction.completed: applied"),
        ("which one? none = all", "which one? none = all"),
    ],
)
def test_what_is_personal_is_blotted_out_of_any_text(text: str, left: str) -> None:
    assert logs.scrubbed(text) == left


def test_a_job_is_told_by_its_id_and_without_its_arguments(lines: Lines) -> None:  # O3
    job = {"id": 7, "task_name": "letters.send", "call_string": f"letters.send[7](to='{PERSON}')"}
    logging.getLogger("procrastinate.worker").error(
        "Job %s ended with status: Error", job["call_string"], extra={"job": job}
    )
    [line] = lines.all()
    assert (line["message"], line["job"]) == ("Job letters.send ended with status: Error", 7)
    assert PERSON not in str(lines)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


@pytest.mark.django_db
def test_requests_are_counted_by_view_method_and_class_of_status(client: Client) -> None:  # O3
    found = {"view": "dashboard:pricing", "method": "GET", "status": "2xx"}
    lost = {"view": "none", "method": "GET", "status": "4xx"}
    before = counted("sidekick_requests_total", **found), counted("sidekick_requests_total", **lost)
    client.get("/pricing")
    client.get("/nothing/1")
    client.get("/nothing/2")
    after = counted("sidekick_requests_total", **found), counted("sidekick_requests_total", **lost)
    assert (after[0] - before[0], after[1] - before[1]) == (1, 2)
    assert counted("sidekick_request_seconds_count", view="dashboard:pricing") >= 1


@pytest.mark.django_db
def test_no_label_holds_anything_of_a_person(
    client: Client, browser: Client, alice: User, settings: Settings
) -> None:  # O3
    pair = device_sessions.start(alice, ip="203.0.113.77", user_agent="Wonderland")
    client.cookies[tokens.ACCESS_COOKIE] = pair.access
    settings.METRICS_TOKEN = "m" * 20
    client.get(f"/dashboard/credits/models?model={PERSON}")
    browser.generic("ALICE", f"/dashboard/{PERSON}")
    browser.get("/pricing", headers={"X-Request-ID": str(alice.id)})
    text = client.get("/metrics", headers={"Authorization": f"Bearer {settings.METRICS_TOKEN}"}).content.decode()
    assert "sidekick_requests_total" in text
    assert [piece for piece in [*PERSONAL, str(alice.id)] if piece.lower() in text.lower()] == []


@pytest.mark.django_db
def test_reported_usage_and_webhooks_are_counted_by_outcome(client: Client, alice: User) -> None:  # O3
    _, secret = ServiceKey.objects.issue("backend", scopes=ServiceKey.Scope.values)
    tokens = {"input_tokens": 1, "output_tokens": 1, "cache_read_tokens": 0, "cache_write_tokens": 0}
    event = {"account": str(alice.id), "model": "gpt-5", "occurred_at": timezone.now().isoformat(), **tokens}
    ids = [("1", "gpt-5"), ("1", "gpt-5"), ("2", "no-such-model")]
    body = {"events": [{**event, "request_id": request_id, "model": model} for request_id, model in ids]}
    outcomes = ("accepted", "duplicate", "rejected")
    before = [counted("sidekick_usage_events_total", outcome=outcome) for outcome in outcomes]
    bearer = {"Authorization": f"Bearer {secret}"}
    assert client.post("/api/v1/usage", body, "application/json", headers=bearer).status_code == 200
    after = [counted("sidekick_usage_events_total", outcome=outcome) for outcome in outcomes]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 1]
    refused = counted("sidekick_webhooks_total", outcome="refused_unsigned")
    client.post("/webhooks/paddle", b"{}", "application/json")
    assert counted("sidekick_webhooks_total", outcome="refused_unsigned") == refused + 1
