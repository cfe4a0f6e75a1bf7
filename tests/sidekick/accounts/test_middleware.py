from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.test import Client, RequestFactory, override_settings
from pytest_django import DjangoAssertNumQueries

from sidekick.accounts import device_sessions, tokens
from sidekick.accounts.models import DeviceSession, User
from tests.conftest import PASSWORD, make_user
from tests.sidekick.accounts.test_device_sessions import at_once

pytestmark = pytest.mark.urls("tests.sidekick.accounts.urls")

PassTime = Callable[..., datetime]
SignIn = Callable[[Client, User], None]
POLL = {"Sidekick-Poll": "1"}


def user_of(client: Client, **headers: str) -> str:
    answer: str = client.get("/test/who", headers=headers).json()["user"]
    return answer


def test_a_request_costs_one_query_and_only_if_someone_asks(
    client: Client, alice: User, sign_in: SignIn, django_assert_num_queries: DjangoAssertNumQueries
) -> None:  # A2
    with django_assert_num_queries(0):
        assert user_of(client) == "AnonymousUser"
    sign_in(client, alice)
    with django_assert_num_queries(1):
        assert user_of(client) == alice.email
    with django_assert_num_queries(0):
        client.get("/test/public")


def test_expired_access_token_is_refreshed_on_the_way(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A2
    sign_in(client, alice)
    before = {name: morsel.value for name, morsel in client.cookies.items()}
    pass_time(minutes=6)
    response = client.get("/test/who")
    assert response.json()["user"] == alice.email
    assert set(response.cookies) == {tokens.ACCESS_COOKIE, tokens.REFRESH_COOKIE}
    for name, cookie in response.cookies.items():
        assert cookie.value != before[name]
        assert cookie["httponly"]
        assert (cookie["samesite"], cookie["path"]) == ("Lax", "/")
    assert response.cookies[tokens.REFRESH_COOKIE]["max-age"] == 90 * 24 * 3600 - 360
    assert "no-store" in response["Cache-Control"]
    assert user_of(client) == alice.email


@override_settings(SESSION_COOKIE_SECURE=True)
def test_cookies_are_for_https_only_in_production(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A2
    sign_in(client, alice)
    pass_time(minutes=6)
    assert all(cookie["secure"] for cookie in client.get("/test/who").cookies.values())


def test_error_pages_and_rolled_back_views_deliver_the_new_tokens(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A6
    client.raise_request_exception = False
    sign_in(client, alice)
    for path, status in [("/test/broken", 500), ("/dashboard/nowhere", 404)]:
        pass_time(minutes=6)
        response = client.get(path)
        assert response.status_code == status
        assert tokens.REFRESH_COOKIE in response.cookies, path
        pass_time(minutes=6)
        assert user_of(client) == alice.email


def test_ended_session_is_out_at_once_and_loses_its_cookies(client: Client, alice: User, sign_in: SignIn) -> None:  # A5
    sign_in(client, alice)
    assert user_of(client) == alice.email
    alice.device_sessions.all().end(DeviceSession.Ended.BY_OPERATOR)
    response = client.get("/test/who")
    assert response.json() == {"user": "AnonymousUser", "session": "None"}
    assert response.cookies[tokens.ACCESS_COOKIE].value == response.cookies[tokens.REFRESH_COOKIE].value == ""


def test_deactivated_account_is_out_at_once(client: Client, alice: User, sign_in: SignIn) -> None:
    sign_in(client, alice)
    User.objects.update(is_active=False)
    assert user_of(client) == "AnonymousUser"


def test_dead_refresh_token_clears_the_cookies(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A3
    sign_in(client, alice)
    pass_time(days=15)
    response = client.get("/dashboard/test/page")
    assert response.status_code == 302
    assert response.cookies[tokens.REFRESH_COOKIE].value == ""


def test_poll_refreshes_but_prolongs_nothing(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A6
    sign_in(client, alice)
    before = DeviceSession.objects.get()
    pass_time(minutes=6)
    response = client.get("/test/who", headers=POLL)
    assert response.json()["user"] == alice.email
    assert set(response.cookies) == {tokens.ACCESS_COOKIE, tokens.REFRESH_COOKIE}
    after = DeviceSession.objects.get()
    assert after.previous_jti == before.current_jti, "whoever polls with a copied token can't do so unnoticed"
    assert (after.last_seen, after.ip, after.user_agent) == (before.last_seen, before.ip, before.user_agent)
    pass_time(days=14)
    assert user_of(client, **POLL) == "AnonymousUser", "polling kept nothing alive"


def test_first_request_of_a_generation_notes_that_its_tokens_arrived(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime, django_assert_num_queries: DjangoAssertNumQueries
) -> None:  # A2 A6
    sign_in(client, alice)
    for headers in ({}, POLL):
        pass_time(minutes=6)
        client.get("/test/who", headers=headers)
        for queries in (2, 1):
            with django_assert_num_queries(queries):
                assert user_of(client) == alice.email


@pytest.mark.parametrize(("ahead", "reads"), [(29, True), (31, False)])
def test_cookies_from_a_server_whose_clock_is_ahead_are_read_or_left_alone(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime, ahead: int, reads: bool
) -> None:  # A2
    pass_time(seconds=ahead)
    sign_in(client, alice)
    pass_time(seconds=-ahead)
    response = client.get("/test/who")
    assert response.json()["user"] == (alice.email if reads else "AnonymousUser")
    assert not response.cookies, "they are good in a moment"
    assert DeviceSession.objects.get().revoked_at is None
    pass_time(seconds=ahead)
    assert user_of(client) == alice.email


def test_row_that_a_clock_ahead_has_written_is_noted_once(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime, django_assert_num_queries: DjangoAssertNumQueries
) -> None:  # A2 A6
    sign_in(client, alice)
    pass_time(minutes=6)
    client.get("/test/who", headers=POLL)
    pass_time(seconds=-20)
    for queries in (2, 1):
        with django_assert_num_queries(queries):
            assert user_of(client) == alice.email


@pytest.mark.parametrize("meanwhile", ["ended", "refreshed"])
def test_nothing_is_noted_in_a_session_that_is_not_as_it_was_found(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime, meanwhile: str
) -> None:  # A5 A6
    sign_in(client, alice)
    pass_time(minutes=6)
    client.get("/test/who", headers=POLL)
    before = DeviceSession.objects.get()
    request = RequestFactory().get("/")
    claims = tokens.read(tokens.AccessToken, client.cookies[tokens.ACCESS_COOKIE].value)
    assert claims
    now = pass_time(seconds=1)
    if meanwhile == "ended":
        DeviceSession.objects.all().end(DeviceSession.Ended.BY_CUSTOMER)
    else:
        token = client.cookies[tokens.REFRESH_COOKIE].value
        assert device_sessions.rotate(token, now=now, poll=True, ip="", user_agent="")
    after = DeviceSession.objects.values().get()
    device_sessions.note_use(request, before, claims, now)
    assert DeviceSession.objects.values().get() == after


@pytest.mark.parametrize("why", ["ended", "inactive", "spent"])
def test_poll_checks_as_much_as_a_refresh(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime, why: str
) -> None:  # A6
    sign_in(client, alice)
    if why == "ended":
        DeviceSession.objects.all().end(DeviceSession.Ended.BY_OPERATOR)
    elif why == "inactive":
        User.objects.update(is_active=False)
    else:
        DeviceSession.objects.update(current_jti=uuid4(), previous_jti=uuid4())
    pass_time(minutes=6)
    response = client.get("/test/who", headers=POLL)
    assert response.json()["user"] == "AnonymousUser"
    assert not response.cookies


@pytest.mark.django_db(transaction=True)
def test_two_tabs_loading_at_once_after_a_pause_stay_signed_in(sign_in: SignIn, pass_time: PassTime) -> None:  # A6
    alice = make_user("alice@example.com")
    for last in (0, 1, 0, 1):
        tabs = [Client(), Client()]
        sign_in(tabs[0], alice)
        tabs[1].cookies.update(tabs[0].cookies)
        pass_time(minutes=6)
        assert at_once(*[partial(user_of, tab) for tab in tabs]) == [alice.email] * 2
        pass_time(minutes=6)
        # A browser has one jar: whichever answer came last, its cookies go on working.
        assert user_of(tabs[last]) == alice.email


def test_calling_a_change_a_poll_gains_nothing(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A6
    sign_in(client, alice)
    pass_time(minutes=6)
    assert tokens.REFRESH_COOKIE in client.post("/test/who", headers=POLL).cookies


def test_poll_beside_a_rotation_stays_signed_in(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A6
    sign_in(client, alice)
    old = client.cookies[tokens.REFRESH_COOKIE].value
    pass_time(minutes=6)
    client.get("/test/who")
    late = Client()
    late.cookies[tokens.REFRESH_COOKIE] = old
    assert user_of(late, **POLL) == alice.email


def test_django_session_is_no_proof_of_identity(client: Client, alice: User) -> None:  # A2
    session = client.session
    session[SESSION_KEY] = str(alice.pk)
    session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
    session[HASH_SESSION_KEY] = alice.get_session_auth_hash()
    session.save()
    assert user_of(client) == "AnonymousUser"
    assert client.get("/dashboard/test/page").status_code == 302
    assert client.get("/admin/").status_code == 302


def test_pages_of_signed_in_people_are_kept_nowhere_unless_they_say_so(
    client: Client, alice: User, sign_in: SignIn
) -> None:  # A5
    sign_in(client, alice)
    assert client.get("/dashboard/test/page")["Cache-Control"] == "private, no-store"
    assert client.get("/test/cached")["Cache-Control"] == "private, max-age=60"
    assert "Cache-Control" not in client.get("/test/public")
    assert "Cookie" in Client().get("/test/who")["Vary"]


def test_rotation_overrides_a_pages_own_caching(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A2
    sign_in(client, alice)
    pass_time(minutes=6)
    assert client.get("/test/cached")["Cache-Control"] == "private, no-store"


def test_new_device_leaves_the_others_signed_in(client: Client, alice: User, sign_in: SignIn) -> None:  # A4
    phone = Client()
    sign_in(client, alice)
    sign_in(phone, alice)
    assert user_of(client) == user_of(phone) == alice.email
    assert DeviceSession.objects.live().count() == 2


def test_cookies_do_not_open_the_api(client: Client, alice: User, sign_in: SignIn, pass_time: PassTime) -> None:  # A8
    sign_in(client, alice)
    assert client.get("/api/v1/test/customers").status_code == 401
    pass_time(minutes=6)
    assert not client.get("/api/v1/test/customers").cookies


@pytest.mark.parametrize(
    ("method", "headers", "back"),
    [
        ("get", {}, "/dashboard/test/page?a=1&b=2"),
        ("post", {"Referer": "http://testserver/dashboard/billing?x=1"}, "/dashboard/billing?x=1"),
        ("post", {"Referer": "https://evil.example/dashboard"}, "/dashboard"),
        ("post", {}, "/dashboard"),
    ],
)
def test_visitor_is_sent_to_sign_in_and_back(
    client: Client, method: str, headers: dict[str, str], back: str
) -> None:  # N1
    response = getattr(client, method)("/dashboard/test/page?a=1&b=2", headers=headers)
    assert response.status_code == 302
    url = urlsplit(response["Location"])
    assert (url.path, parse_qs(url.query)) == ("/accounts/login/", {"next": [back]})


@pytest.mark.parametrize(
    ("standing_on", "back"),
    [
        ("http://testserver/dashboard/credits?page=2", "next=%2Fdashboard%2Fcredits%3Fpage%3D2"),
        ("https://evil.example/", "next=%2Fdashboard%2Ftest%2Fpage"),
        ("//evil.example/", "next=%2Fdashboard%2Ftest%2Fpage"),
        ("http://testserver//evil.example", "next=%2Fdashboard%2Ftest%2Fpage"),
        ("http://testserver/\\evil.example", "next=%2Fdashboard%2Ftest%2Fpage"),
        (" http://testserver/pricing", "next=%2Fpricing"),
    ],
)
def test_htmx_is_told_to_load_the_sign_in_page(client: Client, standing_on: str, back: str) -> None:  # A3
    headers = {"HX-Request": "true", "HX-Current-URL": standing_on}
    response = client.get("/dashboard/test/page", headers=headers)
    assert response.status_code == 200
    assert response["HX-Redirect"] == f"/accounts/login/?{back}"
    history = client.get("/dashboard/test/page", headers={**headers, "HX-History-Restore-Request": "true"})
    assert history.status_code == 302


def test_sign_out_ends_the_session_on_the_server(client: Client, alice: User, sign_in: SignIn) -> None:  # A5
    phone = Client()
    sign_in(client, alice)
    sign_in(phone, alice)
    thief = Client()
    thief.cookies.update(client.cookies)
    response = client.post("/accounts/logout")
    assert (response.status_code, response["Location"]) == (302, "/")
    assert {response.cookies[name].value for name in (tokens.ACCESS_COOKIE, tokens.REFRESH_COOKIE)} == {""}
    assert user_of(thief) == "AnonymousUser"
    assert user_of(phone) == alice.email
    assert DeviceSession.objects.filter(revoked_because=DeviceSession.Ended.SIGNED_OUT).count() == 1


@override_settings(HOME_URL="https://sidekick.example/")
def test_sign_out_goes_home_wherever_that_is(client: Client, alice: User, sign_in: SignIn) -> None:  # A5 N6
    sign_in(client, alice)
    response = client.post("/accounts/logout", headers={"HX-Request": "true"})
    assert response["HX-Redirect"] == "https://sidekick.example/"


@pytest.mark.parametrize("path", ["/accounts/logout", "/accounts/logout/"])
def test_sign_out_needs_a_post_from_our_own_page(alice: User, sign_in: SignIn, path: str) -> None:  # A5
    client = Client(enforce_csrf_checks=True)
    sign_in(client, alice)
    assert client.get(path).status_code == 200
    assert client.post(path, headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.post(path, {"csrfmiddlewaretoken": "a" * 32}).status_code == 302
    assert DeviceSession.objects.live().exists()


ENDED = "Your session ended."


def test_sign_in_says_that_a_session_ended(client: Client, alice: User, sign_in: SignIn) -> None:  # A3
    sign_in(client, alice)
    alice.device_sessions.end(DeviceSession.Ended.BY_OPERATOR)
    response = client.get("/dashboard/test/page")
    assert tokens.ACCESS_COOKIE not in {name for name, cookie in client.cookies.items() if cookie.value}
    assert ENDED in client.get(response["Location"]).content.decode()
    # A wrong password keeps it; a right one ends it, and signing out is no such end.
    form = {"login": alice.email, "password": "wrong-one-entirely"}
    assert ENDED in client.post("/accounts/login/", form).content.decode()
    client.post("/accounts/login/", {**form, "password": PASSWORD})
    client.post("/accounts/logout/")
    assert ENDED not in client.get("/accounts/login/").content.decode()


def test_sign_in_says_so_after_a_poll_and_when_it_is_opened_itself(
    client: Client, alice: User, sign_in: SignIn
) -> None:  # A3 A6
    sign_in(client, alice)
    alice.device_sessions.end(DeviceSession.Ended.BY_OPERATOR)
    client.get("/dashboard/test/page", headers={"HX-Request": "true", "Sidekick-Poll": "1"})
    assert ENDED in client.get("/accounts/login/").content.decode()


def test_a_visitor_had_no_session(client: Client) -> None:  # A3
    response = client.get("/dashboard/test/page")
    assert ENDED not in client.get(response["Location"]).content.decode()
