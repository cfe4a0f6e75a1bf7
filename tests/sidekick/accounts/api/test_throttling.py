"""How many requests a minute a caller may make, and that all processes count together."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client

from sidekick.accounts import device_sessions
from sidekick.accounts.api import throttling
from sidekick.accounts.models import ServiceKey, User
from tests.credits.books import NOW, at_once

pytestmark = pytest.mark.django_db
CREDITS, USAGE = "/api/v1/credits", "/api/v1/usage"
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def _three_a_minute(settings: Any) -> None:
    settings.API_KEY_REQUESTS_A_MINUTE = settings.API_ACCOUNT_REQUESTS_A_MINUTE = 3


def backend() -> Client:
    _, secret = ServiceKey.objects.issue(f"backend {uuid.uuid4()}", scopes=ServiceKey.Scope.values)
    return Client(headers={"Authorization": f"Bearer {secret}"})


def customer(user: User) -> Client:
    access = device_sessions.start(user, ip="127.0.0.1", user_agent="tests").access
    return Client(headers={"Authorization": f"Bearer {access}"})


def report(client: Client) -> Any:
    return client.post(USAGE, '{"events": []}', content_type="application/json")


def stands(response: Any) -> tuple[int, int, int]:
    """Limit, remaining, reset."""
    limit, remaining, reset = (int(response.headers[f"RateLimit-{name}"]) for name in ("Limit", "Remaining", "Reset"))
    return limit, remaining, reset


def test_every_answer_says_what_is_left_and_one_too_many_is_refused(clock: time_machine.Traveller) -> None:
    key = backend()
    for remaining, reset in ((2, 60), (1, 50), (0, 40)):
        response = report(key)
        assert response.status_code == 200
        assert stands(response) == (3, remaining, reset)
        clock.shift(10)
    refused = report(key)
    assert refused.status_code == 429
    assert stands(refused) == (3, 0, 30)
    assert refused.headers["Retry-After"] == "30"
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json() | {"detail": ""} == {
        "type": "about:blank", "title": "Too Many Requests", "status": 429, "code": "throttled", "detail": "",
    }  # fmt: skip
    clock.shift(29)
    assert report(key).status_code == 429
    clock.shift(1)
    assert stands(report(key)) == (3, 2, 60)


def test_refusals_carry_it_too() -> None:
    key = backend()
    response = key.get(CREDITS)
    assert response.status_code == 400
    assert stands(response) == (3, 2, 60)


def test_every_answer_to_reported_usage_says_what_is_left(settings: Any, alice: User) -> None:
    settings.API_KEY_REQUESTS_A_MINUTE = settings.API_ACCOUNT_REQUESTS_A_MINUTE = 6
    key, kind = backend(), "application/json"
    answers = [
        report(key),
        key.post(USAGE, '{"events": [{}, 7]}', content_type=kind),
        key.post(USAGE, '{"events": [{}]}', content_type=kind),
        key.post(USAGE, "x" * 2_700_000, content_type=kind),
        key.put(USAGE),
        key.post(USAGE, "events=1", content_type="application/x-www-form-urlencoded"),
        report(key),
        report(customer(alice)),
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 200, 413, 405, 400, 429, 403]
    for remaining, answer in zip([5, 4, 3, 2, 1, 0, 0, 5], answers, strict=True):
        assert stands(answer)[:2] == (6, remaining)
        assert answer.headers["RateLimit-Policy"] == "6;w=60"


def test_who_may_not_ask_is_counted_too(alice: User) -> None:
    """A key without the scope, and a customer where only keys may be."""
    _, secret = ServiceKey.objects.issue("reader", scopes=[ServiceKey.Scope.HOLDS_WRITE])
    for caller in (Client(headers={"Authorization": f"Bearer {secret}"}), customer(alice)):
        answers = [report(caller) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [403, 403, 403, 429]
        assert stands(answers[0]) == (3, 2, 60)


def test_callers_count_apart(alice: User, charlie: User) -> None:
    first, second, hers, his = backend(), backend(), customer(alice), customer(charlie)
    for _ in range(3):
        assert report(first).status_code == 200
        assert hers.get(CREDITS).status_code == 200
    assert report(first).status_code == hers.get(CREDITS).status_code == 429
    assert report(second).status_code == his.get(CREDITS).status_code == 200


def test_an_account_s_clients_count_together(alice: User) -> None:
    for _ in range(3):
        assert customer(alice).get(CREDITS).status_code == 200
    assert customer(alice).get(CREDITS).status_code == 429


def test_0_is_no_limit_and_costs_no_query(settings: Any, django_assert_num_queries: Any) -> None:
    settings.API_KEY_REQUESTS_A_MINUTE = 0
    key = backend()
    for _ in range(5):
        with django_assert_num_queries(1):
            response = report(key)
        assert response.status_code == 200
        assert "RateLimit-Limit" not in response.headers


def test_counting_is_one_query(django_assert_num_queries: Any) -> None:
    key = backend()
    for _ in range(2):
        with django_assert_num_queries(2):
            report(key)


def test_who_is_nobody_is_not_counted() -> None:
    for _ in range(5):
        response = report(Client())
        assert response.status_code == 401
        assert "RateLimit-Limit" not in response.headers


@pytest.mark.parametrize("apart", [timedelta(days=1), timedelta(minutes=2), -timedelta(minutes=2), -timedelta(days=1)])
def test_a_clock_that_is_wrong_locks_nobody_out(apart: timedelta) -> None:
    """A machine whose clock is a day ahead counts in a window of its own; so does everybody after it."""
    for _ in range(4):
        throttling.count("key 1", 3, NOW + apart)
    assert throttling.count("key 1", 3, NOW).requests == 1


def test_a_clock_a_little_behind_counts_in_the_same_window() -> None:
    throttling.count("key 1", 3, NOW)
    counted = throttling.count("key 1", 3, NOW - 2 * SECOND)
    assert (counted.requests, counted.reset) == (2, 62)


def test_a_window_lasts_a_minute_from_its_first_request() -> None:
    def requests_at(moment: datetime) -> int:
        return throttling.count("key 1", 3, moment).requests

    assert [requests_at(NOW + n * SECOND) for n in (0, 59, 60, 61, 119, 120)] == [1, 2, 1, 2, 3, 1]


@pytest.mark.django_db(transaction=True)
def test_processes_that_count_at_once_lose_none() -> None:
    counted = at_once([lambda: [throttling.count("key 1", 9, NOW).requests for _ in range(20)]] * 8)
    assert sorted(number for numbers in counted for number in numbers) == list(range(1, 161))


def test_the_table_is_not_logged() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpersistence FROM pg_class WHERE relname = 'accounts_request_count'")
        assert cursor.fetchone() == ("u",)
