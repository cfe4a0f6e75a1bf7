"""A click that a browser gives another meaning is the browser's: htmx takes plain clicks only (N4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from playwright.sync_api import Locator, Page, expect

from tests.browser import customers
from tests.browser.conftest import TUESDAY, NewPage

CREDITS = "/dashboard/credits"
# Page, its link, the address that the link opens.
LINKS: dict[str, tuple[str, Callable[[Page], Locator], str]] = {
    "tab": (CREDITS, lambda page: page.locator("#tabs a", has_text="Billing"), "/dashboard/billing"),
    "view": (CREDITS, lambda page: page.locator(".subnav a", has_text="History"), f"{CREDITS}/history"),
    "page number": (CREDITS, lambda page: page.locator(".pagination a[rel=next]"), "page=2"),
    "sort": (f"{CREDITS}/models", lambda page: page.locator("#sort-requests"), "sort="),
    "kind of report": (
        "/dashboard/feedback",
        lambda page: page.locator(".subnav a", has_text="My reports"),
        "/dashboard/feedback/reports",
    ),
}


@pytest.fixture
def page(new_page: NewPage, clock: time_machine.Traveller) -> Page:
    user = customers.newcomer(TUESDAY - timedelta(days=2))
    customers.record(list(customers.requests(user, 30, start=TUESDAY - timedelta(days=1), end=TUESDAY)))
    return new_page(user)


def mark(page: Page) -> None:
    """A swap or a load would take this mark away."""
    page.evaluate("document.querySelector('#main').firstElementChild.dataset.marked = ''")


def expect_untouched(page: Page, path: str) -> None:
    expect(page).to_have_url(re.compile(re.escape(path) + "$"))
    expect(page.locator("[data-marked]")).to_have_count(1)


@pytest.mark.parametrize("name", LINKS)
def test_keys_and_other_buttons_leave_the_page(page: Page, name: str) -> None:  # N4
    path, link_of, opened = LINKS[name]
    page.goto(path)
    mark(page)
    ways: list[dict[str, Any]] = [{"modifiers": ["Control"]}, {"modifiers": ["Shift"]}, {"button": "middle"}]
    for way in ways:
        with page.context.expect_page() as other:
            link_of(page).click(**way)
        expect(other.value).to_have_url(re.compile(re.escape(opened)))
        other.value.close()
        expect_untouched(page, path)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    link_of(page).click(button="right")
    page.keyboard.press("Escape")
    link_of(page).drag_to(page.locator("h1"))
    assert asked == []
    expect_untouched(page, path)


def test_the_meta_key_is_left_to_the_browser(page: Page) -> None:
    """It opens a new tab on a Mac only; here the browser follows the link in this tab, and htmx has no part in it."""
    page.goto(CREDITS)
    mark(page)
    with page.expect_request("**/dashboard/billing") as asked:
        page.locator("#tabs a", has_text="Billing").click(modifiers=["Meta"])
    assert "hx-request" not in asked.value.headers


def test_a_key_held_with_enter_opens_another_page(page: Page) -> None:  # N4 N8
    page.goto(CREDITS)
    mark(page)
    with page.context.expect_page() as other:
        page.locator("#tabs a", has_text="Billing").press("Control+Enter")
    expect(other.value).to_have_url(re.compile("/dashboard/billing$"))
    expect_untouched(page, CREDITS)


def test_alt_saves_the_linked_page(page: Page) -> None:
    page.goto(CREDITS)
    mark(page)
    with page.expect_download() as saved:
        page.locator("#tabs a", has_text="Billing").click(modifiers=["Alt"])
    assert saved.value.url.endswith("/dashboard/billing")
    expect_untouched(page, CREDITS)


@pytest.mark.parametrize("attribute", ["target", "download"])
def test_a_link_that_names_another_place_is_not_swapped(page: Page, attribute: str) -> None:
    page.goto(CREDITS)
    mark(page)
    link = page.locator("#tabs a", has_text="Billing")
    if attribute == "target":
        link.evaluate("link => (link.target = '_blank')")
        with page.context.expect_page() as other:
            link.click()
        expect(other.value).to_have_url(re.compile("/dashboard/billing$"))
    else:
        link.evaluate("link => (link.download = '')")
        with page.expect_download() as saved:
            link.click()
        assert saved.value.url.endswith("/dashboard/billing")
    expect_untouched(page, CREDITS)


@pytest.mark.parametrize("how", ["a key", "formtarget", "the form's target"])
def test_a_form_sent_elsewhere_leaves_the_page(page: Page, how: str) -> None:
    path = "/dashboard/feedback"
    page.goto(path)
    page.get_by_label("Title").fill("The chart is empty")
    page.get_by_label("Description").fill("It had no bars.")
    mark(page)
    button = page.get_by_role("button", name="Submit Bug Report")
    if how == "formtarget":
        button.evaluate("button => (button.formTarget = '_blank')")
    elif how == "the form's target":
        button.evaluate("button => (button.form.target = '_blank')")
    with page.context.expect_page() as other:
        button.click(modifiers=["Control"] if how == "a key" else [])
    expect(other.value).to_have_url(re.compile("/sent$"))
    expect_untouched(page, path)
    expect(page.get_by_label("Title")).to_have_value("The chart is empty")


def test_a_plain_click_still_swaps(page: Page) -> None:  # N4
    page.goto(CREDITS)
    page.evaluate("document.body.dataset.kept = ''")
    page.locator("#tabs a", has_text="Billing").click()
    expect(page.locator("h1")).to_have_text("Billing")
    expect(page.locator("body[data-kept]")).to_have_count(1)


def test_a_link_opened_aside_carries_the_filters_that_are_shown(page: Page) -> None:  # C5
    page.goto(CREDITS)
    page.get_by_label("Dates").select_option("90d")
    expect(page).to_have_url(re.compile("range=90d"))
    with page.context.expect_page() as other:
        page.locator(".subnav a", has_text="Models").click(modifiers=["Control"])
    expect(other.value).to_have_url(re.compile(f"{CREDITS}/models\\?range=90d"))
