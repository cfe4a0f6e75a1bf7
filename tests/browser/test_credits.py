"""Chart, history and files in a browser: seen at every size, worked by keyboard, and without JavaScript."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from playwright.sync_api import Download, Page, expect

from credits.models import AIModel, ModelPrice, UsageEvent
from credits.usage.schemas import Event
from sidekick.accounts.models import User
from tests.browser import customers
from tests.browser.conftest import TUESDAY, NewPage
from tests.browser.test_looks import look
from tests.conftest import make_user

CREDITS, HISTORY = "/dashboard/credits", "/dashboard/credits/history"
PAGES = {
    "ordinary": {
        "chart of a week": f"{CREDITS}?range=7d",
        "chart of 90 days": f"{CREDITS}/models?range=90d",
        "chart of a day": f"{CREDITS}?range=custom&from=2026-03-20&to=2026-03-20",
        "chart of years": f"{CREDITS}?range=custom&from=2000-01-01&to=2026-12-31",
        "history": HISTORY,
        "history's end": f"{HISTORY}?range=90d&page=3",
        "no history": f"{HISTORY}?range=custom&from=2020-01-01&to=2020-01-02",
    },
    "wealthy": {"chart of huge numbers": f"{CREDITS}/models", "history": HISTORY},
    "debtor": {"history": HISTORY},
    "newcomer": {"history": HISTORY},
}


@pytest.mark.parametrize("customer", PAGES)
def test_chart_and_history_of(
    customer: str, new_page: NewPage, clock: time_machine.Traveller, screenshot: Callable[[Page, str], None]
) -> None:  # C6 C8 N8
    page = new_page(getattr(customers, customer)(TUESDAY))
    found = []
    for name, path in PAGES[customer].items():
        act = show_numbers if name.startswith("chart") else None
        found += look(page, path, f"{customer}'s {name}", screenshot, act=act)
    assert not found, "\n".join(found)


def show_numbers(page: Page) -> None:
    page.locator(".chart-numbers summary").click()


def test_the_chart_is_read_by_pointer_and_by_keyboard(new_page: NewPage, clock: time_machine.Traveller) -> None:  # C6
    page = new_page(customers.ordinary(TUESDAY))
    page.goto(f"{CREDITS}?range=7d")
    bar = page.locator(".chart-bar").nth(5)
    expect(bar.locator(".chart-read")).to_be_hidden()
    bar.locator(".chart-slot").hover()
    expect(bar.locator(".chart-read")).to_have_text(re.compile(r"^23 Mar 2026: \d+\.\d\d$"))
    expect(page.get_by_role("img", name="Credits per day by model")).to_be_visible()
    summary = page.locator("summary", has_text="Show as table")
    summary.focus()
    page.keyboard.press("Enter")
    row = page.locator(".chart-rows").get_by_role("row", name=re.compile("23 Mar 2026"))
    read = (bar.locator(".chart-read").text_content() or "").split(": ")[1]
    expect(row.get_by_role("cell").last).to_have_text(read)


def test_a_filter_redraws_the_chart_and_a_tab_leads_to_history(
    new_page: NewPage, clock: time_machine.Traveller
) -> None:  # C5 C6 C8
    page = new_page(customers.ordinary(TUESDAY))
    page.goto(CREDITS)
    page.get_by_label("Model", exact=True).select_option("gpt-5")
    expect(page).to_have_url(re.compile("model=gpt-5"))
    expect(page.locator(".chart-plot rect[class^=series]").first).to_have_class(re.compile(r"series-\d"))
    assert len({each.get_attribute("class") for each in page.locator(".chart-plot rect[class^=series]").all()}) == 1
    page.get_by_label("Dates").select_option("Last 7 days")
    expect(page.locator(".chart-bar")).to_have_count(7)
    page.get_by_role("navigation", name="Usage").get_by_role("link", name="History").click()
    expect(page).to_have_url(re.compile(r"/history\?.*range=7d"))
    expect(page.get_by_role("cell", name=re.compile("Used")).first).to_be_visible()
    page.get_by_role("navigation", name="Usage").get_by_role("link", name="Requests").click()
    expect(page).to_have_url(re.compile("model=gpt-5"))


@pytest.mark.parametrize("script", [True, False])
def test_files_are_downloaded_with_the_filters_on_the_screen(
    new_page: NewPage, clock: time_machine.Traveller, script: bool
) -> None:  # C7
    user = customers.ordinary(TUESDAY)
    page = new_page(user, java_script_enabled=script, width=360)
    page.goto(CREDITS)
    page.get_by_label("Dates").select_option("Last 7 days")
    if not script:
        page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile("range=7d"))
    rows = read(downloaded(page))
    since = (TUESDAY - timedelta(days=6)).replace(hour=0, minute=0) - timedelta(hours=1)
    assert len(rows) == UsageEvent.objects.filter(account=user.id, occurred_at__gte=since).count() > 20
    page.get_by_role("navigation", name="Usage").get_by_role("link", name="History").click()
    expect(page).to_have_url(re.compile("history"))
    balance = page.locator("td[data-label=Balance]").first.get_attribute("title")
    assert balance
    assert float(read(downloaded(page))[0]["Balance"]) == float(balance.replace(",", ""))


def downloaded(page: Page) -> Download:
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    return download.value


def read(download: Download) -> list[dict[str, str]]:
    assert download.suggested_filename.startswith("sidekick-")
    with download.path().open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_history_is_read_without_javascript(new_page: NewPage, clock: time_machine.Traveller) -> None:  # C8 N4
    user: User = customers.ordinary(TUESDAY)
    page = new_page(user, java_script_enabled=False)
    page.goto(HISTORY)
    expect(page.locator("tbody tr")).to_have_count(19)
    page.get_by_label("Dates").select_option("Last 90 days")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".pagination-count")).to_contain_text("1–20 of")
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Next").click()
    expect(page.locator(".pagination-count")).to_contain_text("21–40 of")
    page.get_by_role("link", name=re.compile(r"^\d+ requests? on ")).first.click()
    expect(page).to_have_url(re.compile(r"/dashboard/credits\?range=custom&from=(.*)&to=\1$"))


ARN = "arn:aws:bedrock:{}:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-v1:{}"
NAMES = [ARN.format("us-east-1", 0), ARN.format("us-east-1", 1), ARN.format("eu-west-1", 0), "acme two", "acme  two"]
# Texts that don't fit into their boxes, which is where a browser cuts them.
CUT = """
() => [...document.querySelectorAll("#usage tbody :is(th, td, .model, time), .chart-legend li")]
  .filter((part) => part.getClientRects().length && getComputedStyle(part).overflowX !== "visible"
    && part.scrollWidth > part.clientWidth + 1).map((part) => part.innerText)
"""
PLACE = "(select, name) => [...select.options].findIndex(({ value }) => value === name)"


def named_alike(now: datetime) -> User:
    """Requests of models whose names differ at the end, in the middle and in spaces, in an hour that came twice."""
    user = make_user("aria@example.com", time_zone="Europe/Berlin", date_joined=now - timedelta(days=3))
    price = dict.fromkeys(("input", "output", "cache_read", "cache_write"), Decimal(10))
    events: list[Event] = []
    for number, name in enumerate(NAMES):
        model = AIModel.objects.create(name=name)
        ModelPrice.objects.create(model=model, valid_from=now - timedelta(days=9), **price)
        template = next(iter(customers.requests(user, 1, start=now, end=now)))
        for hour in (0, 1):
            events.append({**template, "request_id": f"{number}-{hour}", "model": name})
            events[-1]["occurred_at"] = now - timedelta(hours=hour)
    customers.record(events)
    return user


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_models_of_similar_names_are_told_apart(new_page: NewPage, width: int) -> None:  # C3 C4 C5 C6
    autumn = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    with time_machine.travel(autumn, tick=True):
        page = new_page(named_alike(autumn), width=width)
        for path in ("/dashboard/credits", "/dashboard/credits/models"):
            page.goto(path)
            assert page.evaluate(CUT) == []
            shown = {each.strip() for each in page.locator("#usage tbody .model").all_inner_texts()}
            assert set(NAMES) <= shown
            assert set(NAMES) <= set(page.locator(".chart-legend li").all_inner_texts())
            for name in NAMES:
                # Playwright takes runs of spaces for one wherever it compares words.
                choice = page.get_by_label("Model", exact=True)
                choice.select_option(index=choice.evaluate(PLACE, name))
                expect(page.locator(".chart-head .model")).to_have_js_property("innerText", name)
                assert set(page.locator("#usage > .table-wrap tbody .model").all_inner_texts()) == {name}
        page.goto("/dashboard/credits")
        times = page.locator("#usage > .table-wrap tbody time").all_inner_texts()
        assert {time.split(" ", 3)[3] for time in times} == {"02:30:00 +01:00", "02:30:00 +02:00"}
