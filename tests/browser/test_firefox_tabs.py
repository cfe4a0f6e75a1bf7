"""`test_clicks` and `test_two_tabs` in short, in Firefox."""

from __future__ import annotations

import pytest
from marionette_driver import Keys
from marionette_driver.marionette import MouseButton

from feedback.models import Report
from sidekick.accounts.models import DeviceSession, User
from tests.browser.firefox import Firefox
from tests.conftest import PASSWORD

CREDITS, BILLING, FEEDBACK = "/dashboard/credits", "/dashboard/billing", "/dashboard/feedback"


def fill_report(firefox: Firefox) -> None:
    firefox.open(FEEDBACK)
    firefox.fill("#report_title", "The chart is empty")
    firefox.fill("#report_description", "It had no bars.")


def sign_in_again(firefox: Firefox, user: User) -> None:
    """Sign in as another tab does: a new session, and a new CSRF token."""
    firefox.sign_in(user)
    firefox.driver.add_cookie({"name": "csrftoken", "value": "n" * 32, "path": "/", "sameSite": "Lax"})


def log_out(firefox: Firefox) -> None:
    firefox.click("details.menu summary")
    firefox.click("details.menu button", "Logout")


@pytest.mark.parametrize("way", ["control", "shift", "middle button"])
def test_a_link_opens_another_tab_and_keeps_what_is_written(firefox: Firefox, nora: User, way: str) -> None:  # N4
    firefox.sign_in(nora)
    fill_report(firefox)
    known = firefox.tabs
    held = {"control": Keys.CONTROL, "shift": Keys.SHIFT}.get(way, "")
    button = MouseButton.MIDDLE if way == "middle button" else MouseButton.LEFT
    firefox.click("#tabs a", "Billing", held=held, button=button)
    other = firefox.wait_for_tab(known)
    assert firefox.path == FEEDBACK
    assert firefox.run("return document.querySelector('#report_title').value") == "The chart is empty"
    firefox.switch(other)
    firefox.find("h1", "Billing")


def test_another_account_in_another_tab_reloads_this_one(firefox: Firefox, nora: User, paul: User) -> None:
    firefox.sign_in(nora)
    firefox.open(CREDITS)
    first = firefox.tab
    sign_in_again(firefox, paul)
    firefox.open_tab(BILLING)
    firefox.switch(first)
    firefox.find(".toast", f"You are signed in as {paul.email} now. Nothing was changed.")
    assert firefox.path == CREDITS


def test_a_form_of_another_account_does_nothing(firefox: Firefox, nora: User, paul: User) -> None:
    firefox.sign_in(nora)
    fill_report(firefox)
    sign_in_again(firefox, paul)
    firefox.click(".report-form .button-primary")
    firefox.find(".toast", f"You are signed in as {paul.email} now. Nothing was changed.")
    assert not Report.objects.exists()


def test_after_signing_in_again_a_report_is_sent_and_logout_logs_out(firefox: Firefox, nora: User) -> None:  # A5
    firefox.sign_in(nora)
    fill_report(firefox)
    sign_in_again(firefox, nora)
    firefox.click(".report-form .button-primary")
    firefox.find("h1", "Thank you")
    sign_in_again(firefox, nora)
    log_out(firefox)
    firefox.find("a", "Sign in")
    assert nora.device_sessions.filter(revoked_because=DeviceSession.Ended.SIGNED_OUT).count() == 1


def test_a_second_sign_in_page_leads_on(firefox: Firefox, nora: User) -> None:
    firefox.open(f"/accounts/login/?next={CREDITS}")
    first = firefox.tab
    firefox.open_tab(f"/accounts/login/?next={BILLING}")
    firefox.fill("#id_login", nora.email)
    firefox.fill("#id_password", PASSWORD)
    firefox.click(".entrance-card button", "Sign in")
    firefox.find("h1", "Billing")
    firefox.switch(first)
    firefox.find("h1", "Credits")


def test_a_sign_out_takes_private_pages_of_other_tabs_away(firefox: Firefox, nora: User) -> None:  # A5
    firefox.sign_in(nora)
    firefox.open(CREDITS)
    first = firefox.tab
    firefox.open_tab(BILLING)
    log_out(firefox)
    firefox.find("a", "Sign in")
    firefox.switch(first)
    firefox.find("h1", "Sign in")
    assert nora.email not in firefox.driver.page_source


def test_a_theme_follows_and_back_does_not_bring_the_old_one(firefox: Firefox, nora: User) -> None:  # N5
    firefox.sign_in(nora)
    firefox.open(CREDITS)
    first = firefox.tab
    firefox.open_tab("/pricing")
    firefox.open("/api/docs")
    firefox.click("[data-theme-form] button.to-dark")
    firefox.wait_until("document.documentElement.dataset.theme === 'dark'")
    firefox.driver.go_back()
    firefox.find("h1", "Pay for")
    firefox.wait_until("document.documentElement.dataset.theme === 'dark'")
    firefox.switch(first)
    firefox.wait_until("document.documentElement.dataset.theme === 'dark'")


def test_offline_a_filter_claims_nothing_and_the_message_goes(firefox: Firefox, nora: User) -> None:  # N7 C5
    firefox.sign_in(nora)
    firefox.open(CREDITS)
    firefox.set_offline(True)
    firefox.run("const list = document.querySelector('#filter-range'); list.value = '90d'; list.form.requestSubmit()")
    firefox.find(".toast", "Sidekick can’t be reached.")
    assert firefox.run("return document.querySelector('#filter-range').value") == "period"
    firefox.set_offline(False)
    firefox.click("#tabs a", "Billing")
    firefox.find("h1", "Billing")
    firefox.wait_gone(".toast")
