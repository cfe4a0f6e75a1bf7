"""Two tabs of one browser: two accounts, a second sign-in, a sign-out, a theme, a connection that is gone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from feedback.models import Report
from sidekick.accounts.models import DeviceSession, User
from tests.browser.conftest import NewPage, sign_in
from tests.conftest import PASSWORD

CREDITS, BILLING, SIGN_IN = "/dashboard/credits", "/dashboard/billing", "/accounts/login/"
# A tab that the browser has put to sleep hears nothing.
ASLEEP = "window.BroadcastChannel = class { addEventListener() {} postMessage() {} }"


def again(context: BrowserContext, user: User, base: Page) -> None:
    """Another tab signs in: a new session, and a new CSRF token as Django gives one."""
    url = re.sub(r"(?<=\d)/.*", "", base.url)
    sign_in(context, user, url)
    context.add_cookies([{"name": "csrftoken", "value": "n" * 32, "url": url, "sameSite": "Lax"}])


def expect_sentence(page: Page, user: User) -> None:
    expect(page.get_by_role("status", name="Messages")).to_contain_text(
        f"You are signed in as {user.email} now. Nothing was changed."
    )
    expect(page.locator(".menu-who")).to_contain_text(user.email)


def fill_report(page: Page) -> None:
    page.goto("/dashboard/feedback")
    page.get_by_label("Title").fill("The chart is empty")
    page.get_by_label("Description").fill("It had no bars.")


def enter(page: Page, user: User) -> None:
    page.get_by_label("Email").fill(user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_another_account_in_another_tab_reloads_this_one(new_page: NewPage, nora: User, paul: User) -> None:  # A12
    page = new_page(nora)
    third = page.context.new_page()
    for tab in (page, third):
        tab.goto(CREDITS)
    other = page.context.new_page()
    again(page.context, paul, page)
    other.goto(BILLING)
    for tab in (page, third):
        expect_sentence(tab, paul)
        expect(tab).to_have_url(re.compile(f"{CREDITS}$"))
    expect(other.get_by_role("status", name="Messages")).to_be_empty()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_the_admin_does_nothing_for_another_operator(
    new_page: NewPage, nora: User, paul: User, scripts: bool
) -> None:  # A12 O1
    User.objects.update(is_staff=True, is_superuser=True)
    page = new_page(nora, java_script_enabled=scripts)
    page.goto(f"/admin/accounts/user/{nora.id}/change/")
    again(page.context, paul, page)
    if scripts:
        page.context.new_page().goto("/admin/")
    else:
        page.get_by_label("Name:").fill("Renamed")
        page.get_by_role("button", name="Save", exact=True).click()
    words = f"You are signed in as {paul.email} now. Nothing was changed."
    expect(page.locator(".messagelist")).to_have_text(words)
    expect(page).to_have_url(re.compile(f"/admin/accounts/user/{nora.id}/change/$"))
    nora.refresh_from_db()
    assert nora.name == ""


@pytest.mark.parametrize("act", ["filter", "section", "report", "poll"])
def test_a_sleeping_tab_of_another_account_does_nothing(new_page: NewPage, nora: User, paul: User, act: str) -> None:
    page = new_page(nora)
    page.add_init_script(ASLEEP)
    if act == "poll":
        page.clock.install()
    if act == "report":
        fill_report(page)
    else:
        page.goto(CREDITS)
    expect(page.locator(".menu-who")).to_contain_text(nora.email)
    shown = page.url
    again(page.context, paul, page)
    if act == "filter":
        page.get_by_label("Dates").select_option("90d")
    elif act == "section":
        page.locator("#tabs a", has_text="Billing").click()
    elif act == "report":
        page.get_by_role("button", name="Submit Bug Report").click()
    else:
        page.clock.run_for(32_000)
    expect_sentence(page, paul)
    expect(page).to_have_url(shown)
    assert not Report.objects.exists()


def test_without_javascript_a_form_of_another_account_does_nothing(new_page: NewPage, nora: User, paul: User) -> None:
    page = new_page(nora, java_script_enabled=False)
    fill_report(page)
    again(page.context, paul, page)
    page.get_by_role("button", name="Submit Bug Report").click()
    expect_sentence(page, paul)
    assert not Report.objects.exists()


@pytest.mark.parametrize("asleep", [True, False])
def test_a_report_is_sent_after_signing_in_again_elsewhere(new_page: NewPage, nora: User, asleep: bool) -> None:
    page = new_page(nora)
    if asleep:
        page.add_init_script(ASLEEP)
    fill_report(page)
    other = page.context.new_page()
    again(page.context, nora, page)
    other.goto(CREDITS)
    expect(page.get_by_label("Title")).to_have_value("The chart is empty")
    page.get_by_role("button", name="Submit Bug Report").click()
    expect(page).to_have_url(re.compile("/sent$"))
    assert Report.objects.get().account == nora


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_logout_ends_the_session_after_signing_in_again_elsewhere(
    new_page: NewPage, nora: User, scripts: bool, expected_faults: list[str]
) -> None:  # A5
    page = new_page(nora, java_script_enabled=scripts)
    page.goto(CREDITS)
    again(page.context, nora, page)
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Logout").click()
    if not scripts:
        expect(page.get_by_role("heading", name="Log out?")).to_be_visible()
        page.get_by_role("button", name="Logout").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    assert nora.device_sessions.filter(revoked_because=DeviceSession.Ended.SIGNED_OUT).count() == 1


@pytest.mark.parametrize("asleep", [True, False])
def test_a_second_sign_in_page_leads_on(new_page: NewPage, nora: User, paul: User, asleep: bool) -> None:
    page = new_page()
    second = page.context.new_page()
    if asleep:
        second.add_init_script(ASLEEP)
    page.goto(f"{SIGN_IN}?next={CREDITS}")
    second.goto(f"{SIGN_IN}?next={BILLING}")
    enter(page, nora)
    expect(page.get_by_role("heading", name="Credits", level=1)).to_be_visible()
    if asleep:
        enter(second, nora)
    expect(second).to_have_url(re.compile(rf"\d{BILLING}$"))
    expect(second.get_by_role("status", name="Messages")).to_be_empty()
    assert nora.device_sessions.count() == 1


def test_a_second_sign_in_page_says_who_is_signed_in(new_page: NewPage, nora: User, paul: User) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{SIGN_IN}?next={BILLING}")
    again(page.context, nora, page)
    enter(page, paul)
    expect(page).to_have_url(re.compile(rf"\d{BILLING}$"))
    expect_sentence(page, nora)


def test_private_pages_leave_the_screen_when_another_tab_signs_out(new_page: NewPage, nora: User) -> None:  # A5
    page = new_page(nora)
    private, public = page.context.new_page(), page.context.new_page()
    private.goto(f"{CREDITS}?range=90d")
    public.goto("/api/docs")
    page.goto(BILLING)
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Logout").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    expect(private.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(private).to_have_url(re.compile(r"\?next=%2Fdashboard%2Fcredits%3Frange%3D90d$"))
    assert nora.email not in private.content()
    expect(public).to_have_url(re.compile("/api/docs$"))


def test_a_theme_follows_in_every_tab_and_stays_after_back(new_page: NewPage, nora: User) -> None:  # N5
    page = new_page(nora)
    other = page.context.new_page()
    page.goto(CREDITS)
    other.goto("/pricing")
    page.get_by_role("button", name="Switch to dark theme").click()
    for tab in (page, other):
        expect(tab.locator("html")).to_have_attribute("data-theme", "dark")
        expect(tab.locator("meta[name=color-scheme]")).to_have_attribute("content", "dark")
    other.goto("/")
    other.get_by_role("button", name="Switch to light theme").click()
    expect(other.locator("html")).to_have_attribute("data-theme", "light")
    other.go_back()
    expect(other.locator("html")).to_have_attribute("data-theme", "light")
    # A browser that keeps pages as they were shows one of before the choice.
    other.evaluate("document.documentElement.dataset.theme = 'dark'")
    other.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(other.locator("html")).to_have_attribute("data-theme", "light")


def test_offline_a_filter_claims_nothing_and_the_message_goes(
    new_page: NewPage, nora: User, expected_faults: list[str]
) -> None:  # N7 C5
    expected_faults += ["ERR_INTERNET_DISCONNECTED", "htmx:sendError", "htmx:afterRequest"]
    page = new_page(nora)
    page.goto(CREDITS)
    dates, message = page.get_by_label("Dates"), page.get_by_role("status", name="Messages")
    dates.select_option("30d")
    expect(page).to_have_url(re.compile("range=30d"))
    page.context.set_offline(True)
    dates.select_option("90d")
    expect(message).to_contain_text("Sidekick can’t be reached.")
    expect(dates).to_have_value("30d")
    page.context.set_offline(False)
    page.locator("#tabs a", has_text="Billing").click()
    expect(page.locator("h1")).to_have_text("Billing")
    expect(message).to_be_empty()
