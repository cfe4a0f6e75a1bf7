from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.test import Client, override_settings

from sidekick.accounts import device_sessions
from sidekick.accounts.models import User
from tests.sidekick.accounts.api.test_views import post, refused
from tests.sidekick.accounts.test_tokens import HERE

pytestmark = pytest.mark.urls("tests.sidekick.accounts.urls")


def test_every_refusal_is_a_problem(client: Client) -> None:
    assert refused(client.get("/api/v1/auth/token"), 405, "method_not_allowed")
    assert refused(client.post("/api/v1/auth/token", {"a": 1}), 415, "unsupported_media_type")
    assert refused(client.get("/api/v1/test/both"), 401, "not_authenticated")


def test_invalid_fields_are_named(client: Client) -> None:
    response = post(client, "token", {"email": "nonsense"})
    assert refused(response, 400, "invalid")
    assert response.json()["errors"].keys() == {"email", "password"}
    assert refused(post(client, "token", []), 400, "invalid")


def test_huge_body_is_a_413(client: Client) -> None:
    body = b'{"email": "' + b"a" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE + b'"}'
    assert refused(post(client, "token", body), 413, "too_large")


@pytest.mark.parametrize(
    ("charset", "status"), [("utf-8", 204), ("rot13", 400), ("hex", 400), ("utf-16", 400), ("nonsense", 400)]
)
def test_a_charset_that_is_not_utf_8_is_a_400(client: Client, charset: str, status: int) -> None:
    content_type = f"application/json; charset={charset}"
    response: Any = client.generic("POST", "/api/v1/auth/logout", b'{"refresh": "x"}', content_type)
    assert response.status_code == status


def test_accept_header_without_json_is_a_406(client: Client, alice: User) -> None:
    access = device_sessions.start(alice, **HERE).access
    headers = {"Accept": "text/csv", "Authorization": f"Bearer {access}"}
    assert refused(client.get("/api/v1/test/customers", headers=headers), 406, "not_acceptable")


@override_settings(DEBUG=False)
def test_unknown_address_is_a_problem_too(client: Client) -> None:
    assert refused(client.get("/api/v1/nowhere"), 404, "not_found")
