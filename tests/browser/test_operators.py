"""An operator's day: a customer is found, given credits and asked for some back, and is out at once."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from credits.models import Grant
from sidekick.accounts.models import User
from tests.browser import customers
from tests.browser.conftest import TUESDAY, NewPage, Theme
from tests.conftest import PASSWORD, make_user
from tests.credits.books import assert_books_balance
from tests.feedback import reports

CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast"]}, "resultTypes": ["violations"]}


@pytest.fixture
def petra(clock: time_machine.Traveller, live_server: object) -> User:
    return customers.ordinary(TUESDAY)


@pytest.fixture
def operator(clock: time_machine.Traveller, live_server: object) -> User:
    return make_user("operator@example.com", name="Olga", is_staff=True, is_superuser=True)


def find(page: Page, wanted: str) -> None:
    page.goto("/admin/")
    page.get_by_role("searchbox", name="Find anything by email or id").fill(wanted)
    page.get_by_role("button", name="Find").click()


def say_why(page: Page, reason: str, button: str) -> None:
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name=button).click()


def test_an_operator_helps_a_customer_and_leaves_who_when_and_why(  # O1 O2 A7
    new_page: NewPage, petra: User, operator: User, expected_faults: list[str]
) -> None:
    expected_faults.append("422")  # A form without a reason is refused.
    customer, page = new_page(petra), new_page()
    customer.goto("/dashboard/credits")
    page.goto("/admin/")
    page.get_by_label("Email").fill(operator.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Operators", level=1)).to_be_visible()

    find(page, petra.email)
    expect(page.get_by_role("heading", name=petra.email, level=1)).to_be_visible()
    page.get_by_role("link", name="Give courtesy credits").click()
    page.get_by_label("Credits").fill("25")
    page.get_by_role("button", name="Give credits").click()
    expect(page.get_by_text("Nothing was changed.")).to_be_visible()
    assert not Grant.objects.filter(kind=Grant.Kind.COURTESY).exists()
    say_why(page, "An apology for Tuesday.", "Give credits")
    expect(page.get_by_text("Gave 25.00 courtesy credits.")).to_be_visible()
    customer.reload()
    expect(customer.get_by_text(re.compile(r"\b25\.00"))).to_be_visible()

    page.get_by_role("navigation", name="Of this account").get_by_role("link", name="Grants").click()
    page.get_by_role("row", name=re.compile("Courtesy")).get_by_role("rowheader").get_by_role("link").click()
    page.get_by_role("link", name="Take back credits").click()
    page.get_by_label("Credits").fill("10")
    say_why(page, "Fifteen were agreed.", "Take back credits")
    expect(page.get_by_text(re.compile("Took back 10.00 credits of grant"))).to_be_visible()
    assert Grant.objects.get(kind=Grant.Kind.COURTESY).remaining == Decimal(15)
    assert_books_balance()

    page.get_by_role("button", name="End all sessions").click()
    say_why(page, "A lost laptop.", "End all sessions")
    expect(page.get_by_text("1 sessions ended.")).to_be_visible()
    expect(page.get_by_role("heading", name=petra.email, level=1)).to_be_visible()
    customer.goto("/dashboard/credits")
    expect(customer).to_have_url(re.compile("/accounts/login/"))

    page.get_by_role("link", name="Timeline").first.click()
    for words in (
        "Courtesy: +25.00 credits",
        "Taken back: −10.00 credits",
        "Session over: ended by an operator",
        "End all sessions: A lost laptop.",
        "An apology for Tuesday.",
    ):
        expect(page.get_by_text(words).first).to_be_visible()
    expect(page.get_by_text("by operator@example.com").first).to_be_visible()
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Back to the newest")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_the_admin_fits_and_can_be_read(  # N8 O1
    new_page: NewPage, petra: User, operator: User, theme: Theme, width: int, screenshot: Any
) -> None:
    page = new_page(operator, theme=theme, width=width)
    account = f"/admin/accounts/user/{petra.id}"
    paths = {
        "index": "/admin/",
        "accounts": "/admin/accounts/user/",
        "account": f"{account}/change/",
        "timeline": f"{account}/timeline/",
        "give": "/admin/credits/grant/give/",
        "ledger": "/admin/credits/ledgerentry/",
        "found nothing": "/admin/find",
    }
    for name, path in paths.items():
        page.goto(path)
        screenshot(page, f"operators-{name}-{width}-{theme}")
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, name
        found = Axe().run(page, options=CONTRAST).response["violations"]
        assert found == [], (name, [node["html"] for fault in found for node in fault["nodes"]])


def test_the_list_of_reports_fits_a_small_screen(new_page: NewPage, petra: User, operator: User) -> None:  # F6
    reports.made(petra, pictured=1, title="The chart of the Credits page stays empty after a change of the time zone")
    page = new_page(operator, width=1280)
    page.goto("/admin/feedback/report/")
    expect(page.locator("#result_list")).to_contain_text("petra@example.com timeline, with images")
    assert page.locator(".results").evaluate("box => box.scrollWidth - box.clientWidth") == 0
