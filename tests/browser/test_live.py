"""An open page shows the true figures, all of one state, and keeping it so disturbs nobody (C10, C12)."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from playwright.sync_api import Page, Route, expect

from sidekick.accounts.models import User
from tests.browser import customers
from tests.browser.conftest import TUESDAY, NewPage

CREDITS = "/dashboard/credits"
BALANCE = re.compile(r"/dashboard/credits/balance(\?|$)")


class Polls:
    """The statuses of the requests that the page made by itself."""

    def __init__(self, page: Page) -> None:
        self.statuses: list[int] = []
        page.on("response", lambda response: self._note(response.url, response.status))

    def _note(self, url: str, status: int) -> None:
        if BALANCE.search(url):
            self.statuses.append(status)


def opened(page: Page, path: str = CREDITS) -> Polls:
    """The browser's own clock stands still until it is told to go on."""
    page.clock.install()
    polls = Polls(page)
    page.goto(path)
    return polls


def pass_time(page: Page, seconds: int) -> None:
    """Let the page's clock run; requests of this time don't matter."""
    page.clock.run_for(seconds * 1000)


def wait(page: Page, seconds: int) -> None:
    """Wait until the page has asked, within so many seconds of its clock."""
    with page.expect_response(BALANCE):
        pass_time(page, seconds)


def use(user: User, credits: str, name: str) -> None:
    """A request of this many credits: haiku's input costs 20 a million."""
    customers.record(
        [
            {
                "request_id": name,
                "account": str(user.id),
                "model": "claude-haiku-4-5",
                "occurred_at": TUESDAY,
                "input_tokens": int(Decimal(credits) * 50_000),
                "output_tokens": 0,
                "cache_read_tokens": 0,
                "cache_write_tokens": 0,
            }
        ]
    )


def test_the_cards_follow_what_is_used_and_the_time_moves_on(new_page: NewPage, clock: time_machine.Traveller) -> None:
    nora = customers.newcomer(TUESDAY - timedelta(days=1))
    page = new_page(nora)
    polls = opened(page)
    value = page.locator(".card-accent .card-value")
    expect(value).to_have_text("50.00")
    clock.shift(31)
    wait(page, 31)
    assert polls.statuses == [304]
    read = page.locator("[data-as-of]")
    expect(read).to_have_text(re.compile(r"^09:12:3\d$"))
    use(nora, "5.25", "first")
    wait(page, 31)
    expect(value).to_have_text("44.75")
    assert polls.statuses == [304, 200]
    wait(page, 31)
    assert polls.statuses == [304, 200, 304]


def one_state(page: Page, used: str, requests: int) -> None:
    """Cards, chart and table say the same."""
    expect(page.locator(".card-value").nth(1)).to_have_text(used)
    if requests:
        expect(page.locator(".chart-head b")).to_have_text(used)
        expect(page.locator(".table-head p")).to_have_text(re.compile(rf"^{requests} requests?$"), use_inner_text=True)


def test_chart_and_table_follow_the_cards(new_page: NewPage, clock: time_machine.Traveller) -> None:  # C12
    nora = customers.newcomer(TUESDAY - timedelta(days=1))
    page = new_page(nora)
    polls = opened(page)
    one_state(page, "0.00", 0)
    expect(page.get_by_label("Model", exact=True)).to_have_count(0)
    use(nora, "3", "first")
    wait(page, 31)
    one_state(page, "3.00", 1)
    expect(page.get_by_label("Model", exact=True)).to_be_visible()
    use(nora, "25", "second")
    wait(page, 31)
    one_state(page, "28.00", 2)
    expect(page.locator("#usage tbody tr").last).to_contain_text("3.00")
    expect(page.locator("[data-live-newer]")).to_be_hidden()
    use(nora, "0", "free")
    wait(page, 31)
    one_state(page, "28.00", 3)
    wait(page, 31)
    assert polls.statuses == [200, 200, 200, 304]


def test_models_and_history_follow_too(new_page: NewPage, clock: time_machine.Traveller) -> None:  # C12
    nora = customers.newcomer(TUESDAY - timedelta(days=1))
    use(nora, "3", "first")
    page = new_page(nora)
    opened(page, f"{CREDITS}/models?range=7d&sort=model")
    use(nora, "25", "second")
    wait(page, 31)
    expect(page.locator("#usage tfoot .strong")).to_have_text("28.00")
    expect(page.locator(".chart-head b")).to_have_text("28.00")
    expect(page.locator("[aria-sort]")).to_have_text("Model")
    page.get_by_role("link", name="History").click()
    expect(page.locator("#usage tbody tr").first).to_contain_text("2 requests")
    use(nora, "2", "third")
    wait(page, 31)
    expect(page.locator("#usage tbody tr").first).to_contain_text("3 requests")
    expect(page.locator("#usage tbody tr").first).to_contain_text("20.00")


@pytest.mark.parametrize("width", [360, 1440])
def test_a_table_that_is_read_stays_and_offers_what_is_newer(
    new_page: NewPage, clock: time_machine.Traveller, width: int
) -> None:  # C12
    nora = customers.newcomer(TUESDAY - timedelta(days=1))
    for number in range(21):
        use(nora, "0.1", f"r{number:02d}")
    page = new_page(nora, width=width)
    polls = opened(page, f"{CREDITS}?range=7d&page=2")
    newer, announcer = page.get_by_role("link", name="newer"), page.locator("#announcer")
    height = page.evaluate("document.documentElement.scrollHeight")
    use(nora, "4", "x1")
    wait(page, 31)
    expect(newer).to_have_text("1 newer request")
    expect(announcer).to_have_text("1 newer request")
    expect(page.locator("[data-live-newer]")).to_contain_text("As of 09:12:0")
    expect(page.locator(".card-value").nth(1)).to_have_text("6.10")
    expect(page.locator("#usage tbody tr")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollHeight") == height
    page.evaluate("document.getElementById('announcer').textContent = ''")
    use(nora, "1", "x2")
    wait(page, 31)
    expect(newer).to_have_text("2 newer requests")
    expect(announcer).to_have_text("")
    clock.shift(31)
    wait(page, 31)
    assert polls.statuses == [200, 200, 304]
    expect(page.locator("#usage [data-as-of]")).to_have_text(re.compile("^09:12:0"))
    newer.click()
    expect(page).to_have_url(re.compile(r"/dashboard/credits\?range=7d$"))
    one_state(page, "7.10", 23)
    expect(page.locator(".pagination-count")).to_be_focused()
    expect(newer).to_have_count(0)
    use(nora, "1", "x3")
    wait(page, 31)
    expect(newer).to_have_text("1 newer request")
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    wait(page, 2)
    one_state(page, "8.10", 24)


def test_what_is_being_read_is_left_alone_until_it_is_not(
    new_page: NewPage, clock: time_machine.Traveller
) -> None:  # C12
    nora = customers.newcomer(TUESDAY - timedelta(days=1))
    use(nora, "1", "a")
    page = new_page(nora)
    opened(page)
    newer, total = page.get_by_role("link", name="1 newer request"), page.locator(".chart-head b")
    reading = {
        "a selection": ("getSelection().selectAllChildren(document.querySelector('#usage tbody'))",
                        "getSelection().removeAllRanges()"),
        "all selected": ("getSelection().selectAllChildren(document.body)", "getSelection().removeAllRanges()"),
        "the numbers": ("document.querySelector('#usage details').open = true",
                        "document.querySelector('#usage details').open = false"),
        "the focus": ("document.querySelector('#usage summary').focus()", "document.activeElement.blur()"),
        "a place below": ("document.body.style.minHeight = '3000px'; scrollTo(0, 300)", "scrollTo(0, 0)"),
    }  # fmt: skip
    for number, (what, (begin, end)) in enumerate(reading.items(), start=2):
        page.evaluate(begin)
        use(nora, "1", what)
        pass_time(page, 31)
        if what == "all selected":
            # The cards are selected, too, so nothing is asked.
            expect(newer).to_have_count(0)
        else:
            expect(newer, what).to_be_visible()
        expect(total).to_have_text(f"{number - 1}.00")
        page.evaluate(end)
        wait(page, 2)
        one_state(page, f"{number}.00", number)


def test_dates_that_were_typed_stay_while_a_new_model_comes(
    new_page: NewPage, clock: time_machine.Traveller
) -> None:  # C12
    nora = customers.newcomer(TUESDAY - timedelta(days=1))
    use(nora, "1", "first")
    page = new_page(nora)
    opened(page)
    page.get_by_label("Dates").select_option("custom")
    expect(page).to_have_url(re.compile("range=custom"))
    page.get_by_label("From").fill("2026-03-01")
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    customers.record(list(customers.requests(nora, 1, start=TUESDAY, end=TUESDAY)))
    wait(page, 31)
    expect(page.locator(".table-head p")).to_have_text(re.compile("^2 requests$"), use_inner_text=True)
    expect(page.get_by_label("From")).to_have_value("2026-03-01")


def test_a_filter_brings_the_cards_of_its_own_state(
    new_page: NewPage, clock: time_machine.Traveller
) -> None:  # C10 C12
    nora = customers.newcomer(TUESDAY - timedelta(days=1))
    use(nora, "3", "first")
    page = new_page(nora)
    polls = opened(page)
    use(nora, "25", "second")
    page.get_by_label("Dates").focus()
    page.get_by_label("Dates").select_option("7d")
    one_state(page, "28.00", 2)
    expect(page.get_by_label("Dates")).to_be_focused()
    wait(page, 31)
    assert polls.statuses == [304]
    use(nora, "1", "third")
    wait(page, 31)
    one_state(page, "29.00", 3)
    expect(page.get_by_label("Dates")).to_have_value("7d")
    expect(page.get_by_label("Dates")).to_be_focused()


def test_a_notice_that_comes_is_read_out_once_and_figures_never(
    new_page: NewPage, clock: time_machine.Traveller
) -> None:  # C9
    nora = customers.newcomer(TUESDAY - timedelta(days=1))
    page = new_page(nora)
    opened(page)
    announcer = page.locator("#announcer")
    use(nora, "20", "first")
    wait(page, 31)
    expect(page.locator(".card-accent .card-value")).to_have_text("30.00")
    expect(announcer).to_have_text("")
    use(nora, "22", "second")
    wait(page, 31)
    expect(announcer).to_contain_text("8.00 credits left.")
    page.evaluate("document.getElementById('announcer').textContent = ''")
    use(nora, "1", "third")
    wait(page, 31)
    expect(page.locator(".card-accent .card-value")).to_have_text("7.00")
    expect(announcer).to_have_text("")


def test_focus_selection_and_place_are_kept(new_page: NewPage, clock: time_machine.Traveller) -> None:
    nora = customers.newcomer(TUESDAY - timedelta(days=1))
    use(nora, "41", "first")
    page = new_page(nora)
    opened(page)
    page.get_by_role("button", name="Dismiss").focus()
    page.evaluate("scrollTo(0, 40)")
    use(nora, "0.5", "second")
    wait(page, 31)
    value = page.locator(".card-accent .card-value")
    expect(value).to_have_text("8.50")
    expect(page.get_by_role("button", name="Dismiss")).to_be_focused()
    assert page.evaluate("scrollY") == 40
    value.select_text()
    use(nora, "0.5", "third")
    pass_time(page, 31)
    expect(value).to_have_text("8.50")
    page.evaluate("getSelection().removeAllRanges()")
    wait(page, 2)
    expect(value).to_have_text("8.00")


def test_a_hidden_page_asks_nothing_and_a_seen_one_at_once(new_page: NewPage, clock: time_machine.Traveller) -> None:
    page = new_page(customers.newcomer(TUESDAY - timedelta(days=1)))
    polls = opened(page)
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    pass_time(page, 300)
    assert polls.statuses == []
    with page.expect_response(BALANCE):
        page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    assert polls.statuses == [304]


def test_trouble_is_borne_in_silence_with_growing_pauses(
    new_page: NewPage, clock: time_machine.Traveller, expected_faults: list[str]
) -> None:
    expected_faults += ["status of 503"]
    page = new_page(customers.newcomer(TUESDAY - timedelta(days=1)))
    polls = opened(page)
    page.route(BALANCE, fail)
    for pause in (30, 60, 120):
        pass_time(page, pause - 3)
        wait(page, 5)
    assert polls.statuses == [503, 503, 503]
    expect(page.locator(".toast")).to_have_count(0)
    page.unroute(BALANCE)
    pass_time(page, 230)
    assert polls.statuses == [503, 503, 503]
    wait(page, 12)
    assert polls.statuses[-1] == 304
    wait(page, 31)
    assert polls.statuses[-2:] == [304, 304]


def fail(route: Route) -> None:
    route.fulfill(status=503, body="busy")


def test_a_session_that_ended_leads_to_the_sign_in_page_and_back(
    new_page: NewPage, clock: time_machine.Traveller
) -> None:  # A3
    nora = customers.newcomer(TUESDAY - timedelta(days=1))
    page = new_page(nora)
    opened(page)
    nora.device_sessions.update(revoked_at=TUESDAY, revoked_because="by_operator")
    wait(page, 31)
    expect(page).to_have_url(re.compile(r"/accounts/login/\?next=%2Fdashboard%2Fcredits$"))


def puts_away(page: Page) -> None:
    page.goto(CREDITS)
    expect(page.locator("[data-notice^=low-]")).to_contain_text("9.00 credits left.")
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator("[data-notice]")).to_have_count(0)
    expect(page).to_have_url(re.compile(f"{CREDITS}$"))
    page.reload()
    expect(page.locator(".card-accent .card-value")).to_have_text("9.00")
    expect(page.locator("[data-notice]")).to_have_count(0)


def test_a_notice_is_put_away_and_the_focus_has_a_place(new_page: NewPage, clock: time_machine.Traveller) -> None:  # C9
    nora = customers.newcomer(TUESDAY - timedelta(days=1))
    use(nora, "41", "first")
    page = new_page(nora)
    page.goto(CREDITS)
    page.get_by_role("button", name="Dismiss").press("Enter")
    expect(page.get_by_role("heading", name="Available")).to_be_focused()
    page.context.clear_cookies(name="sidekick_notices")
    puts_away(page)


def test_a_notice_is_put_away_without_javascript(new_page: NewPage, clock: time_machine.Traveller) -> None:  # C9 N4
    nora = customers.newcomer(TUESDAY - timedelta(days=1))
    use(nora, "41", "first")
    puts_away(new_page(nora, java_script_enabled=False))


def test_the_reference_reads_and_leads_without_javascript(new_page: NewPage) -> None:  # N4
    page = new_page(java_script_enabled=False, width=360)
    page.goto("/pricing")
    page.get_by_role("navigation", name="More").get_by_role("link", name="API").click()
    expect(page).to_have_title("API · Sidekick")
    page.get_by_role("navigation", name="On this page").get_by_role("link", name="Hold credits for a call").click()
    expect(page).to_have_url(re.compile("#hold_credits$"))
    expect(page.get_by_role("heading", name="Hold credits for a call")).to_be_in_viewport()
    article = page.get_by_role("article", name="Hold credits for a call")
    article.get_by_text("Errors", exact=True).click()
    expect(article.get_by_role("rowheader", name="insufficient_credits")).to_be_visible()
