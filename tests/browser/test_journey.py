"""One customer's way: from the homepage to an account, its numbers, and out and in again."""

from __future__ import annotations

import re
from datetime import timedelta

import time_machine
from playwright.sync_api import Locator, Page, expect

from sidekick.accounts.models import User
from tests.browser import customers
from tests.browser.conftest import TUESDAY, NewPage, emailed_code
from tests.post import delivered

EMAIL, PASSWORD, NEW_PASSWORD = "maya@example.com", "a-quiet-sunny-harbour-7", "another-harbour-entirely-8"
SIGNED_UP = TUESDAY
# Past the Sunday on which Berlin's clocks went forward.
A_WEEK_LATER = TUESDAY + timedelta(days=7)


def test_a_customer_finds_the_way(
    new_page: NewPage, clock: time_machine.Traveller, expected_faults: list[str]
) -> None:  # N1–N5 A1 A5 C1–C5 C11
    page = new_page()
    signs_up_from_the_homepage(page)
    expect(page.get_by_role("heading", name="Your requests will appear here")).to_be_visible()
    expect(page.locator(".card-accent .card-value")).to_have_text("50.00")
    expect(page.locator("#filters")).to_have_count(0)

    uses_sidekick(clock)
    page.reload()
    sees_the_numbers(page)
    expect(page.locator(".pagination-count")).to_contain_text("times in Europe/Berlin")
    walks_the_tabs(page)
    turns_pages(page)
    filters(page)
    compares_models(page)
    chooses_a_theme(page)
    logs_out_by_keyboard(page)
    page.go_back()
    sees_nothing_private(page)
    expected_faults += ["status of 422"]
    mistypes_the_password(page)
    signs_in_by_code(page)
    expect(page).to_have_url(re.compile(r"/dashboard/credits"))
    logs_out_by_keyboard(page)
    chooses_a_new_password(page)
    signs_in(page, NEW_PASSWORD)
    expect(page.get_by_role("heading", name="Credits", level=1)).to_be_visible()


def test_every_step_works_without_javascript(
    new_page: NewPage, clock: time_machine.Traveller, expected_faults: list[str]
) -> None:  # N4
    page = new_page(java_script_enabled=False)
    signs_up_from_the_homepage(page)
    uses_sidekick(clock)
    page.reload()
    sees_the_numbers(page)
    for tab in ("Feedback", "Billing", "Credits"):
        page.get_by_role("navigation", name="Sections").get_by_role("link", name=tab).click()
        arrives(page, tab)
    pages = page.get_by_role("navigation", name="Pages")
    pages.get_by_role("link", name="Next").click()
    expect(page.locator(".pagination-count")).to_contain_text("21–40 of 65 requests")
    page.get_by_label("Dates").select_option("Custom dates")
    page.get_by_label("Model", exact=True).select_option("gpt-5")
    page.get_by_label("From", exact=True).fill("2026-03-29")
    page.get_by_label("To", exact=True).fill("2026-03-29")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile(r"range=custom&from=2026-03-29&to=2026-03-29&model=gpt-5"))
    of_that_day = page.locator("#usage > .table-wrap tbody tr").count()
    assert 0 < of_that_day < 20
    page.get_by_role("navigation", name="Usage").get_by_role("link", name="Models").click()
    expect(page).to_have_url(re.compile(r"/models\?range=custom&from=2026-03-29&to=2026-03-29&model=gpt-5"))
    expect(page.locator("tfoot [data-label=Requests]")).to_have_text(str(of_that_day))
    page.get_by_role("columnheader", name="Model").get_by_role("link").click()
    expect(page.get_by_role("columnheader", name="Model")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("button", name="Switch to dark theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page).to_have_url(re.compile(r"/models\?range=custom.*sort=model"))
    page.locator("summary.avatar").click()
    page.get_by_role("button", name="Logout").click()
    expect(page).to_have_url(re.compile(r"/$"))
    page.goto("/dashboard/credits?range=7d")
    expected_faults += ["status of 422"]
    signs_in(page, PASSWORD)
    expect(page).to_have_url(re.compile(r"/dashboard/credits\?range=7d$"))


def signs_up_from_the_homepage(page: Page) -> None:
    page.goto("/")
    expect(page).to_have_title("Sidekick, the AI assistant that works beside you")
    page.get_by_role("link", name="See pricing").click()
    expect(page).to_have_title("Pricing · Sidekick")
    page.get_by_role("link", name="Start for free").click()
    expect(page).to_have_title("Create an account · Sidekick")
    page.wait_for_load_state()
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", name="Verify your email")).to_be_visible()
    page.get_by_label("Code").fill(emailed_code(EMAIL))
    page.get_by_role("button", name="Continue").click()
    arrives(page, "Credits")


def uses_sidekick(clock: time_machine.Traveller) -> None:
    """A week goes by with 65 requests in it: her devices were never used in between."""
    maya = User.objects.get(email=EMAIL)
    clock.move_to(A_WEEK_LATER)
    start = SIGNED_UP + timedelta(minutes=5)
    events = list(customers.requests(maya, 65, start=start, end=A_WEEK_LATER))
    for event in events:
        event["input_tokens"] //= 4
    customers.record(events)


def arrives(page: Page, section: str) -> None:
    expect(page).to_have_url(re.compile(rf"/dashboard/{section.lower()}(\?|$)"))
    expect(page).to_have_title(f"{section} · Sidekick")
    marked = page.get_by_role("navigation", name="Sections").locator("[aria-current=page]")
    expect(marked).to_have_text(section)
    expect(page.get_by_role("heading", level=1)).to_have_text(section)


def number(found: Locator) -> float:
    return float(found.inner_text().replace(",", ""))


def sees_the_numbers(page: Page) -> None:
    total, used, available, additional = (number(page.locator(".card-value").nth(place)) for place in range(4))
    assert used > 0
    assert (total, additional) == (50, 0)
    assert round(total - used, 2) == available
    share = page.locator("#meter-label").inner_text()
    assert share == f"{int(used * 2)}% of this period used"
    expect(page.locator("#usage > .table-wrap tbody tr")).to_have_count(20)
    expect(page.locator(".pagination-count")).to_contain_text("1–20 of 65 requests")


def walks_the_tabs(page: Page) -> None:
    tabs = page.get_by_role("navigation", name="Sections")
    page.evaluate("window.sameDocument = true")
    for tab in ("Feedback", "Billing", "Credits"):
        tabs.get_by_role("link", name=tab).click()
        arrives(page, tab)
        expect(page.get_by_role("heading", level=1)).to_be_focused()
        expect(page.locator("#announcer")).to_have_text(f"{tab} · Sidekick")
        assert page.evaluate("document.querySelectorAll('h1, #tabs, main').length") == 3
    assert page.evaluate("window.sameDocument")
    for step, tab in ((page.go_back, "Billing"), (page.go_back, "Feedback"), (page.go_forward, "Billing")):
        # Back and Forward load the page anew; a key pressed before htmx is there would only change the URL.
        page.wait_for_load_state()
        step()
        arrives(page, tab)
        assert page.evaluate("document.querySelectorAll('h1, #tabs, main').length") == 3
    page.wait_for_load_state()
    page.go_forward()
    arrives(page, "Credits")
    page.wait_for_load_state()


def turns_pages(page: Page) -> None:
    pages, count = page.get_by_role("navigation", name="Pages"), page.locator(".pagination-count")
    newest = page.locator("tbody time").first.get_attribute("datetime")
    pages.get_by_role("link", name="Next").click()
    expect(count).to_contain_text("21–40 of 65 requests")
    expect(page).to_have_url(re.compile(r"\?page=2$"))
    pages.get_by_role("link", name="Page 4").click()
    expect(count).to_contain_text("61–65 of 65 requests")
    expect(page.locator("#usage > .table-wrap tbody tr")).to_have_count(5)
    expect(pages.get_by_role("link", name="Next")).to_have_count(0)
    expect(pages.locator("[aria-current=page]")).to_have_text("Page 4")
    page.reload(wait_until="load")
    expect(count).to_contain_text("61–65 of 65 requests")
    page.go_back()
    expect(count).to_contain_text("21–40 of 65 requests")
    page.wait_for_load_state()
    pages.get_by_role("link", name="Previous").click()
    expect(count).to_contain_text("1–20 of 65 requests")
    expect(page).to_have_url(re.compile(r"/dashboard/credits\??$"))
    assert page.locator("tbody time").first.get_attribute("datetime") == newest


def filters(page: Page) -> None:
    count = page.locator(".pagination-count")
    page.wait_for_load_state()
    page.get_by_label("Model", exact=True).select_option("gpt-5")
    expect(page).to_have_url(re.compile(r"model=gpt-5"))
    expect(page.locator("tbody .model").first).to_have_text("gpt-5")
    assert set(page.locator("tbody .model").all_inner_texts()) == {"gpt-5"}
    page.get_by_label("Model", exact=True).select_option("All models")
    expect(count).to_contain_text("1–20 of 65 requests")
    page.get_by_label("Dates").select_option("Last 7 days")
    expect(page).to_have_url(re.compile(r"range=7d"))
    # Dates of her own start from those shown, so that turning to them is no mistake.
    page.get_by_label("Dates").select_option("Custom dates")
    expect(page).to_have_url(re.compile(r"range=custom&from=2026-03-24&to=2026-04-24"))
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_label("From", exact=True).fill("2026-03-29")
    page.get_by_label("To", exact=True).fill("2026-03-28")
    page.get_by_role("button", name="Apply").click()
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("The first day must not be after the last")
    expect(problem).to_be_focused()
    page.get_by_label("To", exact=True).fill("2026-03-29")
    page.get_by_role("button", name="Apply").click()
    expect(problem).to_have_count(0)
    expect(page).to_have_url(re.compile(r"range=custom&from=2026-03-29&to=2026-03-29"))
    expect(page.locator("#usage > .table-wrap tbody tr").first).to_be_visible()
    expect(page.locator("tbody time", has_text="29 Mar 2026").first).to_be_visible()
    days = {moment[:10] for moment in attributes(page.locator("tbody time"), "datetime")}
    assert days == {"2026-03-29"}
    shown = count.inner_text()
    page.reload()
    expect(count).to_contain_text(shown)
    expect(page.get_by_label("Dates")).to_have_value("custom")
    expect(page.get_by_label("From", exact=True)).to_have_value("2026-03-29")


def attributes(found: Locator, name: str) -> list[str]:
    values: list[str] = found.evaluate_all("(found, name) => found.map(element => element.getAttribute(name))", name)
    return values


def compares_models(page: Page) -> None:
    wanted = page.locator(".pagination-count").inner_text().split(" of ")[1].split()[0]
    page.get_by_role("navigation", name="Usage").get_by_role("link", name="Models").click()
    expect(page).to_have_url(re.compile(r"/dashboard/credits/models\?.*range=custom"))
    expect(page.locator("tfoot [data-label=Requests]")).to_have_text(wanted)
    for column in ("Requests", "Input", "Output", "Cache read", "Cache write"):
        shown = [number(cell) for cell in page.locator(f"tbody [data-label='{column}']").all()]
        assert sum(shown) == number(page.locator(f"tfoot [data-label='{column}']"))
    exact = [
        float(text.replace(",", ""))
        for text in attributes(page.locator("#usage > .table-wrap [data-label=Credits]"), "title")
    ]
    assert round(sum(exact[:-1]), 6) == exact[-1]
    heading = page.get_by_role("columnheader", name="Requests")
    heading.get_by_role("link").click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    requests = [number(cell) for cell in page.locator("tbody [data-label=Requests]").all()]
    assert requests == sorted(requests, reverse=True)
    expect(heading.get_by_role("link")).to_be_focused()
    heading.get_by_role("link").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    expect(page).to_have_url(re.compile(r"range=custom.*sort=requests"))


def chooses_a_theme(page: Page) -> None:
    page.get_by_role("button", name="Switch to dark theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.get_by_role("button", name="Switch to light theme")).to_be_focused()
    answer = page.reload()
    assert answer
    assert '<html lang="en" data-theme="dark">' in answer.text()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Switch to light theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def logs_out_by_keyboard(page: Page) -> None:
    page.wait_for_load_state()
    avatar = page.locator("summary.avatar")
    avatar.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".menu-who")).to_contain_text(EMAIL)
    page.keyboard.press("Escape")
    expect(page.locator(".menu-who")).to_be_hidden()
    expect(avatar).to_be_focused()
    page.keyboard.press("Enter")
    logout = page.get_by_role("button", name="Logout")
    for _ in range(5):
        page.keyboard.press("Tab")
        if logout.evaluate("button => button === document.activeElement"):
            break
    expect(logout).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/$"))
    expect(page.get_by_role("banner").get_by_role("link", name="Sign in")).to_be_visible()


def sees_nothing_private(page: Page) -> None:
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert EMAIL not in page.content()
    assert "claude" not in page.content()


def signs_in(page: Page, password: str) -> None:
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def mistypes_the_password(page: Page) -> None:
    signs_in(page, "not-the-password")
    problem = page.get_by_role("alert").filter(has_text="Incorrect email or password.")
    expect(problem).to_be_visible()
    expect(problem).to_be_focused()
    expect(page.get_by_label("Email")).to_have_value(EMAIL)


def signs_in_by_code(page: Page) -> None:
    page.get_by_role("link", name="Email me a sign-in code").click()
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_role("button", name="Email me a code").click()
    expect(page.get_by_role("heading", name="Enter your sign-in code")).to_be_visible()
    page.get_by_label("Code").fill(emailed_code(EMAIL))
    page.get_by_role("button", name="Continue").click()


def chooses_a_new_password(page: Page) -> None:
    page.get_by_role("banner").get_by_role("link", name="Sign in").click()
    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_role("button", name="Email me a code").click()
    expect(page.get_by_role("heading", name="Enter your reset code")).to_be_visible()
    page.get_by_label("Code").fill(emailed_code(EMAIL))
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Choose a new password")).to_be_visible()
    for field in page.get_by_label(re.compile("New password", re.IGNORECASE)).all():
        field.fill(NEW_PASSWORD)
    page.get_by_role("button", name="Save password").click()
    expect(page.get_by_role("heading", name="Your new password is saved")).to_be_visible()
    assert delivered()[-1].to == [EMAIL]
    page.get_by_role("link", name="Sign in").last.click()
