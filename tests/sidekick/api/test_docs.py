"""The page of the API says what its description says, and its examples work."""

from __future__ import annotations

import json
import os
import re
import subprocess
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.conf import settings as settings_module
from django.test import Client
from django.utils.html import escape
from pytest_django.live_server_helper import LiveServer

from credits.api.openapi import ACCOUNT_ID
from sidekick.accounts.models import ServiceKey
from sidekick.api.openapi import REFUSALS
from tests.conftest import make_user
from tests.sidekick.api.test_openapi import OPERATIONS, operations


def test_the_description_is_polled_cheaply(client: Client) -> None:
    first = client.get("/api/v1/openapi.json")
    again = client.get("/api/v1/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_page_says_what_the_description_says(client: Client, description: dict[str, Any]) -> None:
    response = client.get("/api/docs")
    html = response.content.decode()
    assert response.status_code == 200
    for name, operation in operations(description).items():
        assert f'id="{name}"' in html
        assert escape(operation["summary"]) in html
    for path in description["paths"]:
        assert f"<code>{path}</code>" in html
    for code in REFUSALS:
        assert f"<code>{code}</code>" in html
    assert 'href="/api/v1/openapi.json"' in html


@pytest.mark.django_db
def test_the_footer_leads_to_the_page(client: Client) -> None:
    assert 'href="/api/docs"' in client.get("/pricing").content.decode()


def test_python_on_the_page_is_python(client: Client) -> None:
    html = client.get("/api/docs").content.decode()
    snippets = re.findall(r'in Python">(.*?)</pre>', html, re.S)
    assert len(snippets) == len(OPERATIONS)
    for snippet in snippets:
        compile(unescape(snippet), "snippet", "exec")


def test_curl_on_the_page_works(live_server: LiveServer, client: Client) -> None:
    """A shell runs the example, with this server's address and a key that exists."""
    user = make_user("alice@example.com")
    _, key = ServiceKey.objects.issue("backend", scopes=ServiceKey.Scope.values)
    html = client.get("/api/docs").content.decode()
    [snippet] = re.findall(r'aria-labelledby="hold_credits-curl">(.*?)</pre>', html, re.S)
    script = unescape(snippet).replace(settings_module.SITE_URL, live_server.url).replace(ACCOUNT_ID, str(user.id))
    environment = {"SIDEKICK_KEY": key, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=environment, check=True, timeout=60
    )
    assert Decimal(json.loads(done.stdout)["amount"]) > 0
