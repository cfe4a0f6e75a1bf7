"""A request whose body was not read is refused in words, and never taken for an empty one."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from sidekick.serving.bodies import UNREAD

pytestmark = pytest.mark.django_db

SWAP = {"HX-Request": "true", "HX-Target": "main"}


def send(client: Client, path: str, why: str, **headers: str) -> Any:
    return client.post(path, {"title": "kept"}, headers=headers, **{UNREAD: why})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("why", "status", "title"),
    [("too_large", 413, "That was too large to send"), ("too_slow", 408, "That took too long to arrive")],
)
def test_a_page_says_why_it_read_nothing(browser: Client, why: str, status: int, title: str) -> None:  # O6 N7
    # A body that was not read has no CSRF token, which is not what is wrong with it.
    careful = Client(enforce_csrf_checks=True)
    careful.cookies = browser.cookies
    page = send(careful, "/dashboard/feedback", why)
    assert page.status_code == status
    assert f"<h1>{title}</h1>" in page.content.decode()
    toast = send(careful, "/dashboard/feedback", why, **SWAP)
    assert (toast.status_code, toast.headers["HX-Retarget"]) == (status, "#toasts")


@pytest.mark.parametrize("path", ["/api/v1/usage", "/webhooks/paddle"])
def test_a_program_gets_a_problem(path: str) -> None:  # O6
    problem = send(Client(), path, "too_slow")
    assert (problem.status_code, problem.json()["code"]) == (408, "too_slow")
    assert send(Client(), path, "too_large").json()["code"] == "too_large"


def test_who_is_signed_out_is_led_to_sign_in(client: Client) -> None:  # O6 N1
    led = send(client, "/dashboard/feedback", "signed_out", Referer="http://testserver/dashboard/feedback")
    assert led.status_code == 302
    assert led.headers["Location"] == "/accounts/login/?next=%2Fdashboard%2Ffeedback"
    assert "HX-Redirect" in send(client, "/dashboard/feedback", "signed_out", **SWAP).headers
