"""Words of a report that was not sent yet are kept in the browser, for their author alone."""

from __future__ import annotations

import json
import re

import pytest
import time_machine
from playwright.sync_api import BrowserContext, Page, expect

from feedback.models import Report
from sidekick.accounts.models import DeviceSession, User
from tests.browser.conftest import NewPage, sign_in
from tests.browser.firefox import Firefox
from tests.conftest import PASSWORD, make_user
from tests.feedback.reports import BUG, FEATURE, made

KEPT = "Draft kept in this browser"
TITLE, DESCRIPTION = "The chart is empty", "I opened Credits.\nNo bars."


@pytest.fixture
def alice(clock: time_machine.Traveller, transactional_db: None) -> User:
    return make_user("alice@example.com", time_zone="Europe/Berlin")


@pytest.fixture
def charlie(clock: time_machine.Traveller, transactional_db: None) -> User:
    return make_user("charlie@example.com")


@pytest.fixture
def form(new_page: NewPage, alice: User) -> Page:
    page = new_page(alice)
    page.goto(BUG)
    return page


def write(page: Page) -> None:
    page.get_by_label("Title").fill(TITLE)
    page.get_by_label("Description").fill(DESCRIPTION)
    page.locator(".segment", has_text="High").click()
    expect(page.get_by_text(KEPT)).to_be_visible()


def expect_words(page: Page, title: str = TITLE, description: str = DESCRIPTION) -> None:
    expect(page.get_by_label("Title")).to_have_value(title)
    expect(page.get_by_label("Description")).to_have_value(description)


def expect_draft(page: Page) -> None:
    expect_words(page)
    expect(page.get_by_role("radio", name="High")).to_be_checked()
    expect(page.get_by_text(KEPT)).to_be_visible()
    expect(page.locator("[data-count-of=report_title]")).to_have_text(f"{len(TITLE)} of 120")


def expect_nothing(page: Page) -> None:
    expect_words(page, "", "")
    expect(page.get_by_text(KEPT)).to_be_hidden()


def visit(page: Page, tab: str) -> None:
    page.get_by_role("navigation", name="Sections").get_by_role("link", name=tab).click()
    expect(page.get_by_role("heading", name=tab, level=1)).to_be_visible()


def other_tab(context: BrowserContext, path: str = BUG) -> Page:
    page = context.new_page()
    page.goto(path)
    return page


def test_words_survive_a_tab_switch_back_reload_and_the_end_of_the_browser(form: Page) -> None:  # F3
    expect_nothing(form)
    write(form)
    visit(form, "Credits")
    visit(form, "Feedback")
    expect_draft(form)
    visit(form, "Billing")
    form.go_back()
    expect_draft(form)
    form.reload()
    expect_draft(form)
    context = form.context
    form.close()
    expect_draft(other_tab(context))


def test_each_kind_keeps_its_own_and_takes_over_the_others_words(form: Page) -> None:  # F3
    write(form)
    form.get_by_role("link", name="Request Feature").click()
    expect(form.get_by_role("heading", name="Request a feature")).to_be_visible()
    expect_words(form, "", "")
    form.get_by_role("link", name="Report Bug").click()
    expect_draft(form)
    form.get_by_role("link", name="Request Feature").click()
    form.get_by_role("button", name="Use the words of your bug report").click()
    expect_draft(form)
    expect(form.get_by_label("Title")).to_be_focused()
    form.get_by_role("link", name="Report Bug").click()
    expect(form.get_by_role("heading", name="Report a bug")).to_be_visible()
    expect_words(form, "", "")


def test_a_draft_is_gone_once_the_report_is_stored(form: Page) -> None:  # F3
    write(form)
    form.get_by_role("button", name="Submit Bug Report").click()
    expect(form.locator(".reference")).to_be_visible()
    form.get_by_role("link", name="Report another bug").click()
    expect(form.get_by_role("heading", name="Report a bug")).to_be_visible()
    expect_nothing(form)
    form.get_by_label("Title").fill("The next one")
    # The confirmation of an earlier report takes nothing of a later one.
    form.go_back()
    expect(form.locator(".reference")).to_be_visible()
    form.go_forward()
    expect(form.get_by_label("Title")).to_have_value("The next one")


def test_a_draft_stays_when_the_report_is_not_stored(form: Page, alice: User, expected_faults: list[str]) -> None:  # F3
    expected_faults += ["503", "ERR_FAILED", "sendError", "sendAbort"]
    write(form)
    form.get_by_label("Title").fill("")
    form.get_by_role("button", name="Submit Bug Report").click()
    expect(form.get_by_role("alert")).to_be_visible()
    form.get_by_label("Title").fill(TITLE)
    for refusal in ("abort", "fulfill"):
        form.route(
            f"**{BUG}", lambda route, how=refusal: route.abort() if how == "abort" else route.fulfill(status=503)
        )
        form.get_by_role("button", name="Submit Bug Report").click()
        expect(form.locator(".toast")).to_be_visible()
        form.unroute(f"**{BUG}")
    for _ in range(10):
        made(alice)
    form.get_by_role("button", name="Submit Bug Report").click()
    expect(form.get_by_role("alert")).to_contain_text("You can send this one in")
    form.goto("/dashboard/credits")
    form.goto(BUG)
    expect_draft(form)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_words_are_there_after_signing_in_again(scripts: bool, new_page: NewPage, alice: User) -> None:  # F3 A3
    page = new_page(alice, java_script_enabled=scripts)
    page.goto(BUG)
    page.get_by_label("Title").fill(TITLE)
    page.get_by_label("Description").fill(DESCRIPTION)
    page.locator(".segment", has_text="High").click()
    alice.device_sessions.live().end(DeviceSession.Ended.BY_CUSTOMER)
    page.get_by_role("button", name="Submit Bug Report").click()
    signs_in(page, alice)
    expect_words(page)
    expect(page.get_by_role("radio", name="High")).to_be_checked()
    page.get_by_role("button", name="Submit Bug Report").click()
    expect(page.locator(".reference")).to_be_visible()
    assert Report.objects.get().description == DESCRIPTION


def signs_in(page: Page, user: User) -> None:
    page.get_by_label("Email").fill(user.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Report a bug")).to_be_visible()


def test_another_account_in_this_browser_never_sees_it(form: Page, alice: User, charlie: User) -> None:  # F3 A4
    write(form)
    sign_in(form.context, charlie, form.url.removesuffix(BUG))
    form.reload()
    expect_nothing(form)
    form.get_by_label("Title").fill("Charlie's")
    sign_in(form.context, alice, form.url.removesuffix(BUG))
    form.goto(BUG)
    expect_draft(form)


def test_logout_forgets_it_for_ever_and_nobody_elses(form: Page, alice: User, charlie: User) -> None:  # F3 A5
    form.get_by_label("Title").fill("Alice's")
    sign_in(form.context, charlie, form.url.removesuffix(BUG))
    form.goto(BUG)
    write(form)
    form.get_by_label("Account menu").click()
    form.get_by_role("button", name="Logout").click()
    expect(form.get_by_label("Account menu")).to_have_count(0)
    stored = form.evaluate("Object.entries(localStorage).join()")
    assert "Alice's" in stored
    assert TITLE not in stored
    sign_in(form.context, charlie, form.url.removesuffix("/"))
    form.goto(BUG)
    expect_nothing(form)


def test_two_tabs_write_and_neither_loses_what_it_shows(form: Page) -> None:  # F3
    write(form)
    second = other_tab(form.context)
    expect_draft(second)
    second.get_by_label("Title").fill("Second")
    form.bring_to_front()
    expect_draft(form)
    form.get_by_label("Description").fill("Written last")
    expect_words(second, "Second")
    third = other_tab(form.context)
    expect_words(third, TITLE, "Written last")
    third.get_by_role("button", name="Discard").click()
    # The words stay where they are shown, without the promise.
    for page in (form, second):
        expect(page.get_by_text(KEPT)).to_be_hidden()
    expect_words(form, TITLE, "Written last")
    form.get_by_label("Title").press_sequentially("!")
    expect(form.get_by_text(KEPT)).to_be_visible()


def test_a_draft_can_be_discarded_and_brought_back(form: Page) -> None:  # F3 N8
    write(form)
    form.reload()
    form.get_by_role("button", name="Discard").press("Enter")
    expect_words(form, "", "")
    expect(form.locator("#announcer")).to_have_text("Draft discarded")
    expect(form.get_by_role("button", name="Undo")).to_be_focused()
    form.keyboard.press("Enter")
    expect_draft(form)
    form.get_by_role("button", name="Discard").click()
    form.reload()
    expect_nothing(form)
    # Words that are taken back by hand are no draft either.
    form.get_by_label("Title").fill("x")
    form.get_by_label("Title").fill("  ")
    expect(form.get_by_text(KEPT)).to_be_hidden()
    assert form.evaluate("localStorage.length") == 0


def test_old_and_broken_drafts_are_cleared_away(form: Page) -> None:  # F3
    write(form)
    age = (
        "days => { for (const key in localStorage) if (key.startsWith('draft:')) localStorage[key] = localStorage[key]"
    )
    age += '.replace(/"at":(\\d+)/, (_, at) => `"at":${at - days * 864e5}`); }'
    form.evaluate(age, 29)
    form.reload()
    expect_draft(form)
    form.evaluate(age, 2)
    form.evaluate("localStorage.setItem('draft:somebody:bug', '{oh'); localStorage.setItem('other', 'stays')")
    form.reload()
    expect_nothing(form)
    assert form.evaluate("Object.keys(localStorage).join()") == "other"


def test_a_browser_that_keeps_nothing_promises_nothing(form: Page) -> None:  # F3
    form.add_init_script("Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }")
    form.reload()
    form.get_by_label("Title").fill(TITLE)
    expect(form.get_by_text(KEPT)).to_be_hidden()
    form.get_by_label("Description").fill(DESCRIPTION)
    form.get_by_role("button", name="Submit Bug Report").click()
    expect(form.locator(".reference")).to_be_visible()


def test_nothing_moves_under_the_first_letter(new_page: NewPage, alice: User) -> None:  # F3 N8
    page = new_page(alice, width=360)
    page.goto(BUG)
    top = "document.getElementById('report_title').getBoundingClientRect().top + scrollY"
    before = page.evaluate(top)
    page.get_by_label("Title").fill("T")
    expect(page.get_by_text(KEPT)).to_be_visible()
    assert page.evaluate(top) == before


def test_only_words_are_stored(form: Page) -> None:  # F3
    write(form)
    stored = form.evaluate("Object.entries(localStorage)")
    assert len(stored) == 1
    assert json.loads(stored[0][1])["values"] == {
        "title": TITLE, "description": DESCRIPTION, "priority": "high", "app_version": ""
    }  # fmt: skip
    token = form.locator("[name=token]").input_value()
    assert not re.search(f"{token}|csrf", stored[0][1])


def test_words_survive_in_firefox_too(firefox: Firefox, alice: User, charlie: User) -> None:  # F3
    def words() -> list[str]:
        return [firefox.find(field).get_property("value") for field in ("#report_title", "#report_description")]

    firefox.sign_in(alice)
    firefox.open(BUG)
    firefox.fill("#report_title", TITLE)
    firefox.fill("#report_description", DESCRIPTION)
    firefox.click("#tabs a", "Credits")
    firefox.find("h1", "Credits")
    firefox.click("#tabs a", "Feedback")
    firefox.find(".draft", KEPT)
    assert words() == [TITLE, DESCRIPTION]
    firefox.click("#tabs a", "Billing")
    firefox.find("h1", "Billing")
    firefox.driver.go_back()
    firefox.find(".draft", KEPT)
    assert words() == [TITLE, DESCRIPTION]
    firefox.driver.refresh()
    firefox.find(".draft", KEPT)
    assert words() == [TITLE, DESCRIPTION]
    firefox.click(".subnav a", "Request Feature")
    firefox.click("button", "Use the words of your bug report")
    assert words() == [TITLE, DESCRIPTION]
    firefox.sign_in(charlie)
    firefox.open(FEATURE)
    firefox.find("h2", "Request a feature")
    assert words() == ["", ""]
    firefox.sign_in(alice)
    firefox.open(FEATURE)
    firefox.find(".draft", KEPT)
    firefox.click("button", "Submit Feature Request")
    firefox.find(".reference")
    firefox.open(FEATURE)
    firefox.find("h2", "Request a feature")
    assert words() == ["", ""]
