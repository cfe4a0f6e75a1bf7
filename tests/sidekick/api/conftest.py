from __future__ import annotations

from typing import Any

import pytest
from django.test import Client


@pytest.fixture
def description(client: Client) -> dict[str, Any]:
    response = client.get("/api/v1/openapi.json")
    assert response.headers["Content-Type"] == "application/json"
    described: dict[str, Any] = response.json()
    return described
