"""A page that stays open: its session goes on, ends or fails without ever leaving the customer before a riddle."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from playwright.sync_api import Page, Route, expect

from credits.models import AIModel, ModelPrice
from credits.reports import usage
from sidekick.accounts import tokens
from sidekick.accounts.models import DeviceSession, User
from tests.browser import customers
from tests.browser.conftest import TUESDAY, NewPage
from tests.conftest import PASSWORD

POLL = re.compile(r"/dashboard/credits/balance$")


@pytest.fixture
def petra(clock: time_machine.Traveller, live_server: object) -> User:
    return customers.ordinary(TUESDAY)


def open_credits(page: Page, path: str = "/dashboard/credits") -> None:
    page.goto(path, wait_until="load")
    expect(page.get_by_role("heading", name="Credits", level=1)).to_be_visible()


def click_tab(page: Page, section: str) -> None:
    page.get_by_role("navigation", name="Sections").get_by_role("link", name=section).click()


def expect_section(page: Page, section: str) -> None:
    expect(page).to_have_title(f"{section} · Sidekick")
    expect(page.get_by_role("heading", level=1)).to_have_text(section)


def wait_for_a_poll(page: Page) -> None:
    """Thirty seconds go by for the page, and it asks for its balance again."""
    with page.expect_response(POLL) as polled:
        page.clock.run_for(32_000)
    assert polled.value.status in {200, 304}


@pytest.mark.parametrize("cookie", ["an expired access cookie", "no access cookie"])
def test_a_page_kept_open_for_hours_goes_on(
    new_page: NewPage, petra: User, clock: time_machine.Traveller, cookie: str
) -> None:  # A2 A3 N4
    page = new_page(petra)
    open_credits(page, "/dashboard/credits?range=90d")
    for section in ("Billing", "Feedback", "Credits"):
        clock.shift(timedelta(hours=3))
        if cookie == "no access cookie":
            page.context.clear_cookies(name=tokens.ACCESS_COOKIE)
        click_tab(page, section)
        expect_section(page, section)
    clock.shift(timedelta(hours=3))
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Next").click()
    expect(page.locator(".pagination-count")).to_contain_text("21–40 of 240")
    assert DeviceSession.objects.count() == 1


def test_the_balance_refreshes_itself_and_does_not_prolong_the_session(
    new_page: NewPage, petra: User, clock: time_machine.Traveller
) -> None:  # A6 C10
    page = new_page(petra)
    page.clock.install()
    open_credits(page)
    used, seen = page.locator(".card-value").nth(1), DeviceSession.objects.get().last_seen
    before = used.inner_text()
    page.locator("#filter-range").focus()
    clock.shift(timedelta(minutes=20))
    event = customers.enormous(petra, datetime.now(UTC), ["gpt-5"], 1)[0]
    event |= {"occurred_at": datetime.now(UTC), "input_tokens": 40_000, "output_tokens": 0}
    event |= {"cache_read_tokens": 0, "cache_write_tokens": 0}
    customers.record([event])
    wait_for_a_poll(page)
    expect(used).to_have_text(f"{float(before) + 1:.2f}")
    expect(page.locator("#filter-range")).to_be_focused()
    clock.shift(timedelta(days=13))
    wait_for_a_poll(page)
    session = DeviceSession.objects.get()
    assert (session.last_seen, session.revoked_at) == (seen, None)
    click_tab(page, "Billing")
    expect_section(page, "Billing")
    assert DeviceSession.objects.get().last_seen > seen


def test_a_session_that_idled_away_ends_at_the_sign_in_page(
    new_page: NewPage, petra: User, clock: time_machine.Traveller
) -> None:  # A3 A6
    page = new_page(petra)
    page.clock.install()
    open_credits(page, "/dashboard/credits?range=90d&page=3")
    clock.shift(timedelta(days=14, minutes=1))
    page.clock.run_for(32_000)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert petra.email not in page.content()
    expect(page).to_have_url(re.compile(r"/accounts/login/\?next=%2Fdashboard%2Fcredits%3Frange%3D90d%26page%3D3$"))


def test_a_session_ended_elsewhere_sends_the_next_click_to_sign_in_and_back(
    new_page: NewPage, petra: User
) -> None:  # A3
    page = new_page(petra)
    open_credits(page, "/dashboard/credits?range=90d&page=2")
    DeviceSession.objects.all().end(DeviceSession.Ended.BY_CUSTOMER)
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Next").click()
    expect(page.get_by_role("heading", name="Sign in", level=1)).to_be_visible()
    expect(page.locator("h1")).to_have_count(1)
    page.get_by_label("Email").fill(petra.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(re.compile(r"/dashboard/credits\?range=90d&page=2$"))
    expect(page.locator(".pagination-count")).to_contain_text("21–40 of")


def test_two_tabs_that_refresh_at_once_both_stay(
    new_page: NewPage, petra: User, clock: time_machine.Traveller
) -> None:  # A6
    first = new_page(petra)
    second = first.context.new_page()
    open_credits(first)
    open_credits(second)
    for section in ("Billing", "Feedback", "Credits"):
        clock.shift(timedelta(minutes=6))
        for page in (first, second):
            click = f"document.querySelector('#tabs a[href=\"/dashboard/{section.lower()}\"]').click()"
            page.evaluate(f"setTimeout(() => {click})")
        expect_section(first, section)
        expect_section(second, section)
    session = DeviceSession.objects.get()
    assert session.revoked_at is None


def test_an_answer_that_brought_new_tokens_and_was_lost_signs_nobody_out(
    new_page: NewPage, petra: User, clock: time_machine.Traveller, expected_faults: list[str]
) -> None:  # A6
    page = new_page(petra)
    open_credits(page)
    clock.shift(timedelta(minutes=6))
    expected_faults += ["ERR_CONNECTION_RESET", "htmx:sendError", "htmx:afterRequest"]
    kept = page.context.cookies()

    def lose(route: Route) -> None:
        assert route.fetch().ok
        # Playwright puts the cookies of an answer into the browser even if it is lost.
        page.context.clear_cookies()
        page.context.add_cookies([dict(cookie) for cookie in kept])  # type: ignore[misc]
        route.abort("connectionreset")

    page.route("**/dashboard/billing", lose, times=1)
    click_tab(page, "Billing")
    expect(page.get_by_role("status", name="Messages")).to_contain_text("Sidekick can’t be reached.")
    spent = DeviceSession.objects.get().previous_jti
    assert spent
    clock.shift(timedelta(minutes=9))
    for section in ("Billing", "Feedback", "Credits"):
        click_tab(page, section)
        expect_section(page, section)
        clock.shift(timedelta(minutes=6))
    assert DeviceSession.objects.get().revoked_at is None


def test_a_poll_that_refreshes_leaves_its_tokens_in_the_browser(
    new_page: NewPage, petra: User, clock: time_machine.Traveller
) -> None:  # A6
    """Also when nothing changed: the answer is a 304 with cookies."""
    page = new_page(petra)
    page.clock.install()
    open_credits(page)
    for _ in range(3):
        before = DeviceSession.objects.get()
        clock.shift(timedelta(minutes=20))
        wait_for_a_poll(page)
        session = DeviceSession.objects.get()
        assert session.previous_jti == before.current_jti
        cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
        claims = tokens.read(tokens.RefreshToken, cookies[tokens.REFRESH_COOKIE])
        assert claims
        assert claims.jti == session.current_jti
        assert (session.last_seen, session.revoked_at) == (before.last_seen, None)


def test_an_answer_that_fails_shows_a_message_and_leaves_the_page(
    new_page: NewPage, petra: User, monkeypatch: pytest.MonkeyPatch, expected_faults: list[str]
) -> None:  # N7
    page = new_page(petra)
    open_credits(page)
    expected_faults += ["status of 500", "Response Status Error Code 500"]
    with monkeypatch.context() as broken:
        broken.setattr(usage, "usage_page", lambda *args, **kwargs: 1 / 0)
        page.get_by_role("navigation", name="Pages").get_by_role("link", name="Next").click()
        message = page.get_by_role("status", name="Messages")
        expect(message).to_contain_text("That didn’t work, and it’s our fault. Please try again.")
    expect(page.locator(".pagination-count")).to_contain_text("1–20 of 240")
    expect(page).to_have_url(re.compile(r"/dashboard/credits$"))
    message.get_by_role("button", name="Dismiss").click()
    expect(message).to_have_text("")
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Next").click()
    expect(page.locator(".pagination-count")).to_contain_text("21–40 of 240")


def test_without_a_connection_a_message_says_so(
    new_page: NewPage, petra: User, expected_faults: list[str]
) -> None:  # N7
    page = new_page(petra)
    open_credits(page)
    expected_faults += ["ERR_INTERNET_DISCONNECTED", "htmx:sendError", "htmx:afterRequest"]
    page.context.set_offline(True)
    click_tab(page, "Billing")
    message = page.get_by_role("status", name="Messages")
    expect(message).to_contain_text("Sidekick can’t be reached. Check your connection and try again.")
    expect_section(page, "Credits")
    page.context.set_offline(False)
    click_tab(page, "Billing")
    expect_section(page, "Billing")


def test_what_an_account_is_called_is_never_code(new_page: NewPage, petra: User) -> None:
    """An email, a model and a request id that are markup stay words."""
    name = "<img src=x onerror=alert(1)>"
    price = ModelPrice(model=AIModel.objects.create(name=name), valid_from=TUESDAY - timedelta(days=99))
    price.input = price.output = price.cache_read = price.cache_write = Decimal(1)
    price.save()
    event = customers.enormous(petra, TUESDAY, [name], 1)[0] | {"request_id": '"><script>alert(1)</script>'}
    customers.record([event])
    User.objects.filter(id=petra.id).update(email="<b>petra</b>@example.com")
    page = new_page(petra)
    for path in ("/dashboard/credits", "/dashboard/credits/models"):
        open_credits(page, path)
        expect(page.locator("tbody .model").first).to_have_text(name)
        assert page.locator("main img, main script, b:text('petra')").count() == 0
        expect(page.locator("#filter-model")).to_contain_text(name)


def test_back_pressed_again_while_a_page_loads_ends_where_the_address_says(new_page: NewPage, petra: User) -> None:
    """htmx would notice the second one, but has not come yet."""  # N4
    page = new_page(petra)
    open_credits(page)
    for section in ("Feedback", "Billing", "Credits"):
        click_tab(page, section)
        expect_section(page, section)
    held: list[Route] = []
    late = True

    def hold(route: Route) -> None:
        if late:
            held.append(route)
        else:
            route.continue_()

    page.route(re.compile(r"/htmx[^/]*\.js"), hold)
    with page.expect_request(re.compile(r"/htmx[^/]*\.js")):
        page.evaluate("() => history.back()")
    page.wait_for_url("**/dashboard/billing", wait_until="commit")
    page.evaluate("() => history.back()")
    page.wait_for_url("**/dashboard/feedback", wait_until="commit")
    late = False
    for route in held:
        route.continue_()
    expect_section(page, "Feedback")
    expect(page).to_have_url(re.compile("/dashboard/feedback$"))
