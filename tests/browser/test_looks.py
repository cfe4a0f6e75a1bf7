"""Every page at every size and in both themes: all of it can be seen, reached and hit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from credits import emails
from tests.browser import customers
from tests.browser.conftest import SIZES, TUESDAY, NewPage, Shop, Theme

LOOKS = Path(__file__).with_name("looks.js").read_text().rstrip().removesuffix(";")
EVERYTHING = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"target-size": {"enabled": True}},
    "resultTypes": ["violations"],
}
# The simulator's pages stand for another company's, so good practice is not asked of them.
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast"]}, "resultTypes": ["violations"]}

PUBLIC = {
    "home": "/",
    "pricing": "/pricing",
    "API": "/api/docs",
    "sign-in": "/accounts/login/",
    "sign-in by email": "/accounts/login/code/",
    "sign-up": "/accounts/signup/",
    "reset": "/accounts/password/reset/",
    "placeholder": "/about/support",
    "404": "/nowhere/at/all",
}
USAGE = {"credits": "/dashboard/credits", "models": "/dashboard/credits/models"}
CUSTOMERS = {
    "newcomer": {"credits": "/dashboard/credits"},
    "wealthy": USAGE,
    "debtor": USAGE,
    "ordinary": {
        **USAGE,
        "credits far page": "/dashboard/credits?range=90d&page=7",
        "credits custom": "/dashboard/credits?range=custom&from=2026-03-01&to=2026-03-20&model=gpt-5",
        "credits refused": "/dashboard/credits?page=999",
        "feedback": "/dashboard/feedback",
        "billing": "/dashboard/billing",
    },
}

BUYERS = (
    "on_starter",
    "with_a_history",
    "disputing",
    "overdue",
    "leaving",
    "pausing",
    "paused",
    "going_down",
    "on_trial",
    "who_paid",
    "who_waits",
)

# Two frames: the first may still be of the size before.
SETTLED = """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {
    document.getAnimations().forEach(animation => animation.finish());
    done();
})))"""
THEMES: tuple[Theme, ...] = ("light", "dark")
EVERY_SIZE = ("overflows", "brokenFigures", "smallTargets")
ONCE = ("unseenFocus", "motion")


def look(
    page: Page, path: str, name: str, keep: Callable[[Page, str], None], *, act: Callable[[Page], None] | None = None
) -> list[str]:
    """Returns the faults of a page in every size and both themes, after `act` if that is given."""
    found = []
    checks, rules = (EVERY_SIZE, EVERYTHING) if path.startswith("/") else (EVERY_SIZE[:1], WCAG)
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        page.goto(path)
        if act:
            act(page)
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            page.evaluate(SETTLED)
            keep(page, f"{name} {size} {theme}")
            if theme == "light":
                found += [f"{name}, {size}: {fault}" for check in checks for fault in see(page, check)]
                found += violations(page, f"{name}, {size}", rules) if size != "tablet" else []
        if theme == "dark":
            found += violations(page, f"{name}, dark", COLOURS)
        page.keyboard.press("Shift")
        found += [f"{name}, {theme}: {fault}" for check in ONCE for fault in see(page, check)]
    return found


def see(page: Page, check: str) -> list[str]:
    found: list[str] = page.evaluate(f"{LOOKS}.{check}()")
    return found


def violations(page: Page, name: str, rules: dict[str, Any]) -> list[str]:
    """Violations of `rules`, options of axe-core, by the part of the page that is at fault."""
    result = Axe().run(page, options=rules).response
    return [
        f"{name}: {broken['id']}: {node['html'][:120]} ({node['failureSummary']})"
        for broken in result["violations"]
        for node in broken["nodes"]
    ]


def test_public_pages(
    new_page: NewPage, expected_faults: list[str], screenshot: Callable[[Page, str], None]
) -> None:  # N8
    expected_faults += ["status of 404"]
    page = new_page()
    found = []
    for name, path in PUBLIC.items():
        found += look(page, path, name, screenshot)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("customer", CUSTOMERS)
def test_pages_of(
    customer: str,
    new_page: NewPage,
    clock: time_machine.Traveller,
    expected_faults: list[str],
    screenshot: Callable[[Page, str], None],
) -> None:  # N8
    expected_faults += ["status of 422"]
    page = new_page(getattr(customers, customer)(TUESDAY))
    found = []
    for name, path in CUSTOMERS[customer].items():
        found += look(page, path, f"{customer}'s {name}", screenshot)
    found += look(page, "/dashboard/billing", f"{customer}'s menu", screenshot, act=open_menu)
    assert not found, "\n".join(found)


def open_menu(page: Page) -> None:
    page.locator("summary.avatar").click()


@pytest.mark.parametrize("buyer", BUYERS)
def test_billing_pages_of(
    buyer: str,
    new_page: NewPage,
    shop: Shop,
    expected_faults: list[str],
    screenshot: Callable[[Page, str], None],
) -> None:  # N8 B1 B4 B7 B8
    expected_faults += ["status of 422"]
    user, pages = getattr(customers, buyer)(shop)
    page, found = new_page(user), []

    def choose_too_few(page: Page) -> None:
        page.get_by_label("Credits", exact=True).fill("5")

    def ask_a_busy_paddle(page: Page) -> None:
        shop.world.faults.add("too_many_requests", method="POST", path="/transactions")
        page.get_by_role("button", name="Purchase Credits").click()
        expect(page.get_by_role("alert")).to_be_visible()

    acts = {"too few": choose_too_few, "busy Paddle": ask_a_busy_paddle}
    for name, path in pages.items():
        found += look(page, path, f"{buyer}'s {name}", screenshot, act=acts.get(name))
    assert not found, "\n".join(found)


def test_the_page_that_stops_emails(new_page: NewPage, screenshot: Callable[[Page, str], None]) -> None:  # N8 C9
    link = urlsplit(emails.unsubscribe_url(customers.newcomer(TUESDAY))).path
    page = new_page()
    found = look(page, link, "stop emails", screenshot)
    page.get_by_role("button", name="Stop these emails").click()
    expect(page.get_by_role("heading", name="No more low-balance emails")).to_be_visible()
    found += look(page, link, "stopped emails", screenshot)
    assert not found, "\n".join(found)
