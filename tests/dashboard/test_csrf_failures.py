"""A form with the CSRF token of before another sign-in: nothing is done, and nothing is lost."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from feedback.models import Report
from sidekick.accounts.models import DeviceSession, User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db

SignIn = Callable[[Client, User], None]
OLD = {"csrfmiddlewaretoken": "a" * 32}
FOREIGN = {"Origin": "https://evil.example"}


@pytest.fixture
def strict(alice: User, sign_in: SignIn) -> Client:
    client = Client(enforce_csrf_checks=True)
    sign_in(client, alice)
    return client


def hidden(response: Any, action: str) -> dict[str, str]:
    """The hidden fields of the form with this action."""
    form = re.search(rf'<form[^>]*action="{action}".*?</form>', response.content.decode(), re.DOTALL)
    assert form
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form[0]))


@pytest.mark.parametrize("path", ["/accounts/logout", "/accounts/logout/", "/admin/logout/"])
def test_logout_asks_once_more_and_then_ends_the_session(strict: Client, path: str) -> None:  # A5
    asking = strict.post(path, OLD, follow=True)
    assert "Log out?" in asking.content.decode()
    assert DeviceSession.objects.live().exists()
    response = strict.post("/accounts/logout", hidden(asking, "/accounts/logout"))
    assert (response.status_code, response["Location"]) == (302, "/")
    assert not DeviceSession.objects.live().exists()


def test_logout_of_a_script_leads_to_the_question(strict: Client) -> None:
    response = strict.post("/accounts/logout", OLD, headers={"HX-Request": "true"})
    assert response.headers["HX-Redirect"] == "/accounts/logout"


def test_logout_without_a_session_goes_home() -> None:  # A5
    response = Client(enforce_csrf_checks=True).post("/accounts/logout", OLD, follow=True)
    assert response.redirect_chain == [("/accounts/logout", 302), ("/", 302)]


def test_a_sign_in_keeps_email_and_way_back(alice: User) -> None:  # A3
    client = Client(enforce_csrf_checks=True)
    form = {"login": alice.email, "password": PASSWORD, "next": "/dashboard/billing"}
    drawn = client.post("/accounts/login/", form | OLD)
    html = drawn.content.decode()
    assert drawn.status_code == 403
    assert f'value="{alice.email}"' in html
    assert PASSWORD not in html
    assert "nothing was sent" in html
    response = client.post("/accounts/login/", form | hidden(drawn, "/accounts/login/"))
    assert (response.status_code, response["Location"]) == (302, "/dashboard/billing")
    assert DeviceSession.objects.live().exists()


@pytest.mark.parametrize("path", ["/accounts/signup/", "/accounts/login/code/", "/accounts/password/reset/"])
def test_other_entrances_keep_the_email(path: str) -> None:
    drawn = Client(enforce_csrf_checks=True).post(path, {"email": "new@example.com"} | OLD)
    assert drawn.status_code == 403
    assert 'value="new@example.com"' in drawn.content.decode()


def test_a_report_keeps_its_words(strict: Client) -> None:  # F3
    words = {"title": "The chart is empty", "description": "No bars.\nNone.", "priority": "high", "app_version": "1.2"}
    drawn = strict.post("/dashboard/feedback", words | OLD)
    html = drawn.content.decode()
    assert drawn.status_code == 403
    assert all(word in html for word in ("The chart is empty", "No bars.\nNone.", 'value="1.2"', "nothing was sent"))
    assert not Report.objects.exists()
    assert strict.post("/dashboard/feedback", words | hidden(drawn, "/dashboard/feedback")).status_code == 302
    assert Report.objects.get().title == "The chart is empty"


@pytest.mark.parametrize("path", ["/accounts/logout", "/accounts/login/", "/dashboard/feedback", "/admin/logout/"])
def test_a_form_of_another_site_gets_an_error_alone(strict: Client, path: str) -> None:  # A5
    response = strict.post(path, {"login": "a", "title": "theirs"} | OLD, headers=FOREIGN)
    assert response.status_code == 403
    assert "<form" not in response.content.decode()
    assert DeviceSession.objects.live().exists()


def test_other_forms_say_that_the_page_is_too_old(strict: Client, alice: User) -> None:  # N7
    response = strict.post("/dashboard/account", {"name": "Renamed"} | OLD)
    assert response.status_code == 403
    assert "This page is too old" in response.content.decode()
