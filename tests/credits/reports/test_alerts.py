"""A customer is told once about running low, and what to do about it (C9)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.test import Client

from credits.ledger import grants, holds, periods
from credits.models import Grant, Plan
from credits.reports import alerts
from credits.reports.balance import Balance
from credits.usage import recording
from sidekick.accounts.models import User
from tests.credits.books import NOW, event, use
from tests.credits.pages.test_filters import balance

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
SignIn = Callable[[Client, User], None]
PAGES = ["/dashboard/credits", "/dashboard/credits/models", "/dashboard/credits/history"]
BALANCE = "/dashboard/credits/balance"
UTC = ZoneInfo("UTC")
DAY = timedelta(days=1)
# Read before the tests fix levels of their own.
PRODUCT_LEVELS = alerts.LEVELS


def with_figures(**figures: object) -> Balance:
    changes: dict[str, Any] = {name: Decimal(str(value)) for name, value in figures.items()}
    return dataclasses.replace(balance(), **changes)


def level_of(balance: Balance) -> int | None:
    return alerts.level_reached(balance.unspent, balance.total)


def test_the_product_warns_at_a_fifth_a_twentieth_and_nothing() -> None:  # C9
    assert PRODUCT_LEVELS == (0, 5, 20)


@pytest.mark.parametrize(
    ("left", "level"),
    [("50", None), ("10.000001", None), ("10", 20), ("2.500001", 20), ("2.5", 5), ("0.000001", 5), ("0", 0)],
)
def test_levels_are_reached_exactly(left: str, level: int | None) -> None:
    assert level_of(with_figures(total=50, plan_left=left)) == level


def test_everything_that_can_be_spent_counts() -> None:
    assert level_of(with_figures(total=50, plan_left=1, additional=9, courtesy="0.01")) is None
    assert level_of(with_figures(total=50, additional=10)) == 20
    assert level_of(with_figures(total=0, additional=10)) is None
    assert level_of(with_figures(total=0)) == 0


def test_what_is_promised_is_not_spent_yet() -> None:
    assert level_of(with_figures(total=50, plan_left=40, held=39)) is None


def test_rollover_lapses_within_three_days_of_the_end() -> None:
    rich = with_figures(total=50, plan_left=50, rollover_left=3)
    ends = rich.ends_at
    assert [alerts.expires_soon(rich, ends - days * DAY) for days in (4, 3, 1, 0)] == [False, True, True, False]
    assert not alerts.expires_soon(with_figures(total=50, plan_left=50), ends - DAY)


def shown(html: str) -> list[str]:
    """The keys of the alerts on a page."""
    return re.findall(r'data-notice="([^"]+)"', html)


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def page(client: Client, path: str = PAGES[0]) -> str:
    html: str = client.get(path).content.decode()
    return html


def keys_after(client: Client, alice: User, *used: str) -> list[list[str]]:
    """The alerts of the page after each of these uses."""
    seen = []
    for number, credits in enumerate(used):
        use(alice, credits, now=NOW, at=NOW - timedelta(seconds=number + 1))
        seen.append(shown(page(client)))
    return seen


def test_each_level_replaces_the_one_before(browser: Client, alice: User) -> None:
    steps = keys_after(browser, alice, "39.9", "0.1", "7.5", "2.5", "3")
    assert steps == [[], ["low-20"], ["low-5"], ["low-0"], ["debt"]]


def test_every_view_and_the_live_cards_show_it(browser: Client, alice: User) -> None:
    use(alice, 41)
    for path in (*PAGES, BALANCE):
        html = page(browser, path)
        assert shown(html) == ["low-20"]
        assert "9.00 credits left. That is 18% of this period’s 50.00. New ones come on 31 May 2026." in words(html)


def test_the_words_say_what_to_do(browser: Client, alice: User) -> None:
    use(alice, 53)
    html = page(browser)
    assert "You owe 3.00 credits." in words(html)
    assert re.search(r'href="/pricing">See larger plans</a>', html)
    pro = Plan.objects.get(slug="pro")
    periods.open_paid(alice.id, plan=pro, starts_at=NOW, ends_at=NOW + 31 * DAY, source_key="pay", now=NOW)
    use(alice, 990, now=NOW)
    html = page(browser)
    assert shown(html) == ["low-5"]
    assert "Only 7.00 credits left." in words(html)
    assert re.search(r'href="/dashboard/billing">Buy credits</a>', html)


def test_what_rolled_over_is_named_before_it_lapses(
    browser: Client, alice: User, clock: time_machine.Traveller, sign_in: SignIn
) -> None:
    starter = Plan.objects.get(slug="starter")
    for number, start in enumerate((NOW - 28 * DAY, NOW)):
        periods.open_paid(
            alice.id, plan=starter, starts_at=start, ends_at=start + 28 * DAY, source_key=f"pay:{number}", now=start
        )
    use(alice, 200, now=NOW + timedelta(minutes=1))
    clock.move_to(NOW + 24 * DAY)
    sign_in(browser, alice)
    assert shown(page(browser)) == []
    clock.move_to(NOW + 25 * DAY)
    sign_in(browser, alice)
    assert shown(page(browser)) == ["lapsing"]
    assert "50.00 rolled-over credits expire on 7 Jun 2026." in words(page(browser))
    use(alice, 50, now=NOW + 25 * DAY)
    assert shown(page(browser)) == []


def dismiss(client: Client, key: str, **headers: str) -> Any:
    return client.post(f"/dashboard/credits/notices/{key}/dismiss", headers=headers)


def test_a_notice_put_away_stays_away_until_it_gets_worse(browser: Client, alice: User) -> None:
    use(alice, 41)
    response = dismiss(browser, "low-20", referer="http://testserver/dashboard/credits/models?range=7d")
    assert response.status_code == 302
    assert response.headers["Location"] == "/dashboard/credits/models?range=7d"
    for path in (*PAGES, BALANCE):
        assert shown(page(browser, path)) == []
    assert keys_after(browser, alice, "7", "2") == [["low-5"], ["low-0"]]


def test_a_milder_level_is_no_news_after_a_worse_one(browser: Client, alice: User) -> None:
    use(alice, 48)
    dismiss(browser, "low-5")
    grants.grant(alice.id, Decimal(5), kind=Grant.Kind.COURTESY, source_key="gift", now=NOW)
    assert shown(page(browser)) == []


def test_the_next_period_begins_without_what_was_put_away(
    browser: Client, alice: User, clock: time_machine.Traveller, sign_in: SignIn
) -> None:
    use(alice, 41)
    dismiss(browser, "low-20")
    clock.move_to(NOW + 22 * DAY)
    sign_in(browser, alice)
    use(alice, 41, now=NOW + 22 * DAY)
    assert shown(page(browser)) == ["low-20"]


def test_one_customer_s_choice_is_not_another_s(browser: Client, alice: User, charlie: User, sign_in: SignIn) -> None:
    use(alice, 41)
    use(charlie, 41)
    dismiss(browser, "low-20")
    sign_in(browser, charlie)
    assert shown(page(browser)) == ["low-20"]


def test_htmx_gets_the_cards_without_the_notice_and_a_place_for_the_focus(browser: Client, alice: User) -> None:
    use(alice, 41)
    response = dismiss(browser, "low-20", **{"HX-Request": "true"})
    html = response.content.decode()
    assert html.startswith('<div id="balance"')
    assert shown(html) == []
    assert "data-focus" in html
    assert "data-focus" not in page(browser, BALANCE).split('<div id="usage"')[0]


@pytest.mark.parametrize("key", ["nothing", "low-7", "debt2"])
def test_only_notices_can_be_put_away(browser: Client, key: str) -> None:
    assert dismiss(browser, key).status_code == 404


def test_looking_puts_nothing_away(browser: Client) -> None:
    assert browser.get("/dashboard/credits/notices/debt/dismiss").status_code == 405


def test_a_visitor_puts_nothing_away(client: Client) -> None:
    response = dismiss(client, "debt")
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("cookie", ["", ":", "x:low-20", "low-20", ":low-20.debt", "é:\x01", "." * 5000])
def test_a_cookie_that_makes_no_sense_hides_nothing(browser: Client, alice: User, cookie: str) -> None:
    use(alice, 41)
    browser.cookies["sidekick_notices"] = cookie
    assert shown(page(browser)) == ["low-20"]


def test_the_parts_of_available_add_up_when_a_promise_was_eaten(browser: Client, alice: User) -> None:  # C1 M4
    wish = {"model": "claude-haiku-4-5", "input_tokens": 0, "max_output_tokens": 400_000}
    holds.reserve(alice.id, request_id="r", now=NOW, **wish)  # type: ignore[arg-type]
    use(alice, 45)
    html = page(browser)
    found = re.search(r'Available Credits</h2>.*?title="([^"]+)".*?card-note">(.*?)</p>', html, re.S)
    assert found
    assert found[1] == "0.00"
    assert words(found[2]) == "plan 5.00 + held −5.00"


def test_a_request_that_costs_nothing_brings_no_notice(browser: Client, alice: User) -> None:
    recording.record([event(alice, input_tokens=0, output_tokens=0)], now=NOW)
    assert shown(page(browser)) == []
