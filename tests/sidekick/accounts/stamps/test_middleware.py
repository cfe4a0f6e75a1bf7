"""A page drawn for one account does nothing to another that signed in meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from sidekick.accounts.models import User
from sidekick.accounts.stamps.stamp import FIELD, HEADER, VISITOR, stamp_of
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.sidekick.accounts.urls")]

SignIn = Callable[[Client, User], None]
PAGE = "/dashboard/account"


def words(user: User) -> str:
    return f"You are signed in as {user.email} now. Nothing was changed."


def renames(client: Client, *, stamp: str | None, htmx: bool = False, client_page: str = PAGE) -> object:
    form = {"name": "Renamed", "time_zone": "UTC"}
    headers = {"Referer": f"http://testserver{client_page}"}
    if htmx:
        headers |= {"HX-Request": "true", "HX-Current-URL": f"http://testserver{client_page}"}
        headers |= {HEADER: stamp} if stamp is not None else {}
    elif stamp is not None:
        form[FIELD] = stamp
    return client.post(PAGE, form, headers=headers)


def test_a_form_of_another_account_changes_nothing_and_says_so(
    browser: Client, alice: User, charlie: User
) -> None:  # A12
    response = renames(browser, stamp=stamp_of(charlie))
    alice.refresh_from_db()
    assert alice.name == ""
    assert (response.status_code, response["Location"]) == (303, PAGE)  # type: ignore[attr-defined,index]
    assert [str(message) for message in get_messages(response.wsgi_request)] == [words(alice)]  # type: ignore[attr-defined]
    assert words(alice) in browser.get(PAGE).content.decode()


def test_a_script_of_another_account_reloads_its_page(browser: Client, alice: User, charlie: User) -> None:
    response = renames(browser, stamp=stamp_of(charlie), htmx=True, client_page="/dashboard/account?tab=1")
    alice.refresh_from_db()
    assert alice.name == ""
    assert response.headers["HX-Redirect"] == "/dashboard/account?tab=1"  # type: ignore[attr-defined]
    assert response.content.decode() == words(alice)  # type: ignore[attr-defined]
    assert response.headers[HEADER] == stamp_of(alice)  # type: ignore[attr-defined]


@pytest.mark.parametrize("htmx", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_a_page_of_this_account_works(browser: Client, alice: User, htmx: bool, known: bool) -> None:
    renames(browser, stamp=stamp_of(alice) if known else None, htmx=htmx)
    alice.refresh_from_db()
    assert alice.name == "Renamed"


def test_a_poll_of_another_account_shows_no_figures(browser: Client, alice: User, charlie: User) -> None:
    headers = {"HX-Request": "true", "Sidekick-Poll": "1", HEADER: stamp_of(charlie)}
    headers["HX-Current-URL"] = "http://testserver/dashboard/credits?range=90d"
    response = browser.get("/dashboard/credits/balance", headers=headers)
    assert response.headers["HX-Redirect"] == "/dashboard/credits?range=90d"
    assert response.content.decode() == words(alice)


def test_a_visitors_form_does_nothing_once_somebody_is_signed_in(browser: Client, alice: User) -> None:
    response = browser.post("/theme", {"theme": "dark", "next": "/pricing", FIELD: VISITOR})
    assert (response.status_code, response["Location"]) == (303, "/pricing")
    assert "theme" not in response.cookies


@pytest.mark.parametrize("other", [True, False])
def test_a_second_sign_in_page_leads_on(
    browser: Client, alice: User, charlie: User, sign_in: SignIn, other: bool
) -> None:
    """The same account goes on at once; another one is told who is signed in."""
    typed = (charlie if other else alice).email
    form = {"login": f" {typed.upper()} ", "password": PASSWORD, "next": "/dashboard/billing", FIELD: VISITOR}
    response = browser.post("/accounts/login/", form)
    assert (response.status_code, response["Location"]) == (303, "/dashboard/billing")
    said = [str(message) for message in get_messages(response.wsgi_request)]
    assert said == ([words(alice)] if other else [])
    assert browser.get("/test/who").json()["user"] == alice.email


@pytest.mark.parametrize("address", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_a_refusal_never_leads_to_another_site(browser: Client, charlie: User, address: str) -> None:
    form = {"theme": "dark", "next": address, FIELD: stamp_of(charlie)}
    response = browser.post("/theme", form, headers={"Referer": address})
    assert response["Location"] == "/dashboard"


def test_after_a_sign_out_the_page_asks_to_sign_in(client: Client, alice: User) -> None:
    response = renames(client, stamp=stamp_of(alice))
    assert response.status_code == 302  # type: ignore[attr-defined]
    assert response["Location"] == f"/accounts/login/?next={quote(PAGE, safe='')}"  # type: ignore[index]


def test_the_sentence_comes_before_an_old_token(alice: User, charlie: User, sign_in: SignIn) -> None:
    client = Client(enforce_csrf_checks=True)
    sign_in(client, alice)
    response = client.post(PAGE, {"name": "Renamed", FIELD: stamp_of(charlie), "csrfmiddlewaretoken": "a" * 32})
    assert response.status_code == 303


def test_a_right_stamp_gives_no_right(alice: User, sign_in: SignIn) -> None:
    client = Client(enforce_csrf_checks=True)
    sign_in(client, alice)
    form = {"name": "Renamed", "time_zone": "UTC", FIELD: stamp_of(alice)}
    assert client.post(PAGE, form, headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.post(PAGE, form).status_code == 403
    alice.refresh_from_db()
    assert alice.name == ""


def test_programs_and_webhooks_are_left_alone(
    browser: Client, charlie: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        response = browser.post("/webhooks/paddle", b"{}", "application/json", headers={HEADER: stamp_of(charlie)})
    assert response.status_code not in {200, 303}


def test_a_request_without_a_stamp_asks_for_no_account(
    browser: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        browser.get("/test/public")
