from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client, RequestFactory
from pytest_django import DjangoAssertNumQueries

from dashboard import errors
from sidekick.accounts.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.dashboard.urls")]

PAGES = {400: "/test/400", 403: "/test/403", 404: "/test/404", 429: "/test/429", 500: "/test/500"}


@pytest.fixture
def browser() -> Client:
    return Client(raise_request_exception=False)


@pytest.mark.parametrize("status", PAGES)
def test_a_failed_page_says_so_in_our_style(browser: Client, status: int) -> None:  # N7
    browser.cookies["theme"] = "dark"
    response = browser.get(PAGES[status])
    html = response.content.decode()
    assert response.status_code == status
    assert 'data-theme="dark"' in html
    assert "css/tokens.css" in html
    assert f"<h1>{errors.TITLES[status]}</h1>" in html


@pytest.mark.parametrize("status", PAGES)
def test_a_failed_swap_becomes_a_toast(browser: Client, status: int) -> None:  # N7
    response = browser.get(PAGES[status], headers={"HX-Request": "true"})
    html = response.content.decode()
    assert response.status_code == status
    assert response.headers["HX-Retarget"] == "#toasts"
    assert response.headers["HX-Reswap"] == "beforeend"
    assert response.headers["HX-Push-Url"] == "false"
    assert html.startswith('<div class="toast toast-error">')
    assert "<html" not in html


def test_a_program_gets_a_problem_in_place_of_a_page(browser: Client) -> None:  # N7
    for path, status in (("/api/v1/nothing-here", 404), ("/api/v1/test/500", 500)):
        response = browser.get(path)
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code == status


@pytest.mark.parametrize(
    ("path", "allowed"), [("/theme", "POST"), ("/pricing", "GET, HEAD"), ("/dashboard/credits", "GET, HEAD")]
)
def test_a_page_that_takes_no_such_method_says_so(
    browser: Client, alice: User, sign_in: Callable[[Client, User], None], path: str, allowed: str
) -> None:  # N7
    sign_in(browser, alice)
    for method in ("PUT", "DELETE", "BREW"):
        response = browser.generic(method, path)
        assert (response.status_code, response.headers["Allow"]) == (405, allowed)
        assert f"<h1>{errors.TITLES[405]}</h1>" in response.content.decode()


def test_a_program_that_uses_a_wrong_method_gets_a_problem(browser: Client) -> None:  # N7
    for path in ("/api/v1/openapi.json", "/api/v1/usage", "/api/v1/auth/token", "/webhooks/paddle"):
        response = browser.put(path)
        assert response.headers["Content-Type"] == "application/problem+json"
        if response.status_code != 401:
            assert (response.json()["status"], response.json()["code"]) == (405, "method_not_allowed")
            assert response.headers["Allow"]


def test_the_500_page_needs_no_database(rf: RequestFactory, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        response = errors.server_error(rf.get("/dashboard/credits"))
    assert "Something went wrong" in response.content.decode()
