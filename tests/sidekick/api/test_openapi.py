"""The API is what its description says: schemathesis sends what the description allows, and what it forbids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from credits.ledger import grants
from credits.models import Grant
from sidekick.accounts import device_sessions
from sidekick.accounts.models import ServiceKey, User
from sidekick.api.openapi import REFUSALS

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
READING = ["/api/v1/credits", "/api/v1/usage", "/api/v1/usage/models"]
OPERATIONS = {
    "report_usage", "list_usage", "sum_usage_by_model", "read_credits", "hold_credits", "release_hold",
    "sign_in", "refresh_session", "sign_out",
}  # fmt: skip
# Requests that may match the description and still make no sense, or the other way round.
EXCEPTIONS = [
    # An event that is not valid is refused alone: 200, and named in `rejected`, which `accounted_for` looks at.
    {
        "include-operation-id": "report_usage",
        "checks": {"negative_data_rejection": {"expected-statuses": [200, 400, 401, 403, 406]}},
    },
    # `from` may lie after `to`, or be a 30 February.
    {
        "include-operation-id": ["list_usage", "sum_usage_by_model"],
        "checks": {"positive_data_acceptance": {"expected-statuses": [200, 304, 400, 404]}},
    },
    # Nothing is promised where nothing is left, or to a customer; and 7.0 is an integer to JSON Schema, no count here.
    {
        "include-operation-id": "hold_credits",
        "checks": {"positive_data_acceptance": {"expected-statuses": [201, 400, 402, 403, 404, 409]}},
    },
]
CONFIG = {
    "generation": {"mode": "all", "max-examples": 25, "deterministic": True, "database": "none"},
    "operations": EXCEPTIONS,
}
LIMITS = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@schemathesis.check
def accounted_for(ctx: Any, response: Any, case: Any) -> None:
    """Every event that was sent is in the receipt (M2)."""
    if case.operation.definition.raw.get("operationId") == "report_usage" and response.status_code == 200:
        receipt = response.json()
        sent = len(case.body["events"])
        assert receipt["accepted"] + receipt["duplicates"] + len(receipt["rejected"]) == sent


API = schemathesis.openapi.from_wsgi(
    "/api/v1/openapi.json", get_wsgi_application(), config=SchemathesisConfig.from_dict(CONFIG)
)


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """A server lets go of its connection around a request; a test's transaction lives in it."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def rich(alice: User, settings: Any) -> User:
    """Alice with credits and a hold to be found; nobody is limited here."""
    settings.API_KEY_REQUESTS_A_MINUTE = settings.API_ACCOUNT_REQUESTS_A_MINUTE = 1_000_000
    settings.ACCOUNT_RATE_LIMITS = False
    # A slow hash is no matter of the description.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    grants.grant(alice.id, Decimal(1_000_000), kind=Grant.Kind.PURCHASED, source_key="buy")
    return alice


@pytest.fixture
def key(db: None) -> str:
    return ServiceKey.objects.issue("backend", scopes=ServiceKey.Scope.values)[1]


@pytest.fixture
def access(rich: User) -> str:
    return device_sessions.start(rich, ip="127.0.0.1", user_agent="tests").access


def at_home(body: Any, account: str) -> None:
    """Make a valid body name an account and a model that exist, so that it gets further than a 404."""
    if not isinstance(body, dict):
        return
    events = body.get("events")
    for item in events if isinstance(events, list) else [body]:
        if isinstance(item, dict) and isinstance(item.get("account"), str):
            if events or UUID.fullmatch(item["account"]):
                item["account"] = account
            if item.get("model") and isinstance(item["model"], str) and item["model"].isprintable():
                item["model"] = "gpt-5" if len(item["model"]) <= 100 else item["model"]


@API.parametrize()
@LIMITS
def test_with_a_service_key_the_api_is_as_described(case: Any, rich: User, key: str) -> None:
    if case.path in READING:
        case.query.setdefault("account", str(rich.id))
    at_home(case.body, str(rich.id))
    case.call_and_validate(headers={"Authorization": f"Bearer {key}"})


@API.parametrize()
@LIMITS
def test_with_an_access_token_the_api_is_as_described(case: Any, rich: User, access: str) -> None:
    case.call_and_validate(headers={"Authorization": f"Bearer {access}"})


def operations(description: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        operation["operationId"]: operation
        for methods in description["paths"].values()
        for operation in methods.values()
    }


def test_the_description_is_openapi_3_1_and_names_every_operation(description: dict[str, Any]) -> None:
    assert description["openapi"].startswith("3.1")
    validate_schema(description)
    assert set(operations(description)) == OPERATIONS


def test_every_operation_is_described_with_examples_and_refusals(description: dict[str, Any]) -> None:
    for name, operation in operations(description).items():
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"][0] in {tag["name"] for tag in description["tags"]}
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        bodies += [answer for answer in operation["responses"].values() if "content" in answer]
        for body in bodies:
            for media in body["content"].values():
                assert media["examples"], (name, media)
        for status, answer in operation["responses"].items():
            if status[0] in "45":
                examples = answer["content"]["application/problem+json"]["examples"].values()
                codes = [example["value"]["code"] for example in examples]
                assert all(REFUSALS[code].status == int(status) for code in codes)
                assert all(f"`{code}`" in answer["description"] for code in codes)


def test_who_may_call_is_said(description: dict[str, Any]) -> None:
    keys: list[Any] = [{"serviceKey": []}]
    both: list[Any] = [{"accessToken": []}, {"serviceKey": []}]
    said = {name: operation.get("security", []) for name, operation in operations(description).items()}
    assert said == {
        "report_usage": keys, "hold_credits": keys, "release_hold": keys,
        "read_credits": both, "list_usage": both, "sum_usage_by_model": both,
        "sign_in": [], "refresh_session": [], "sign_out": [],
    }  # fmt: skip


def test_headers_are_described_where_they_come(description: dict[str, Any]) -> None:
    def headers(name: str, status: str) -> set[str]:
        return set(operations(description)[name]["responses"][status].get("headers", {}))

    rates = {"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy"}
    for status in ("200", "400", "403", "413"):
        assert headers("report_usage", status) == rates
    assert headers("hold_credits", "201") == rates | {"Location"}
    assert headers("hold_credits", "429") == rates | {"Retry-After"}
    assert headers("hold_credits", "401") == {"WWW-Authenticate"}
    assert headers("hold_credits", "503") == {"Retry-After"}
    for name in ("read_credits", "list_usage", "sum_usage_by_model"):
        assert headers(name, "200") == headers(name, "304") == rates | {"ETag"}
