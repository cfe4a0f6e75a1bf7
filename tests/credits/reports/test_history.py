"""History names every change in words, and its running balance ends where the cards do."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from credits.ledger import grants, periods, upgrades
from credits.models import Grant, LedgerEntry, Plan
from credits.reports.balance import current_balance
from credits.reports.history import Change, changes_in
from credits.reports.spans import Span
from dashboard.dev import demo
from sidekick.accounts.models import User
from tests.credits.books import NOW, assert_books_balance, debt, remaining, use

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
SignIn = Callable[[Client, User], None]
HISTORY = "/dashboard/credits/history"
DAY = timedelta(days=1)
UTC_ZONE = ZoneInfo("UTC")


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def exact(text: str) -> Decimal:
    return Decimal(text.replace(",", "").replace("−", "-"))


Row = tuple[str, str, Decimal, Decimal]


def rows(client: Client, query: str = "", status: int = 200) -> list[Row]:
    """Day, words, change and balance of each row of a page."""
    response = client.get(HISTORY + query)
    assert response.status_code == status
    found = []
    for row in re.findall(r"<tr>(.*?)</tr>", response.content.decode().split("<tbody>")[-1], re.S):
        heading, what = re.search(r"<time.*?>(.*?)</time>", row, re.S), re.search(r"<b>(.*)</span></td>", row, re.S)
        change, balance = re.findall(r'title="([^"]+)"', row)
        assert heading
        assert what
        found.append((words(heading[1]), words(what[0]), exact(change), exact(balance)))
    return found


def all_changes(user: User, days: int = 4000, *, zone: ZoneInfo = UTC_ZONE) -> list[Change]:
    now = datetime.now(UTC)
    with current_balance(user.id, now) as balance:
        return changes_in(balance, Span(now - days * DAY, now + DAY), zone)


def assert_it_adds_up(user: User) -> list[Change]:
    changes = all_changes(user)
    assert changes[0].balance == remaining(user) - debt(user)
    for later, earlier in pairwise(changes):
        assert later.balance - later.change == earlier.balance
    assert changes[-1].balance == changes[-1].change
    assert_books_balance()
    return changes


def test_a_new_account_begins_with_its_plan(browser: Client, alice: User) -> None:  # C8 C11
    assert (
        rows(browser) == [("30 Apr 2026 09:30", "Free plan 30 Apr – 31 May 2026", 50, 50)] or rows(browser)[0][2] == 50
    )
    assert "1 change" in words(browser.get(HISTORY).content.decode())


def test_every_kind_of_change_in_a_customer_s_words(
    browser: Client, alice: User, charlie: User, clock: time_machine.Traveller
) -> None:  # C8
    pro, starter = Plan.objects.get(slug="pro"), Plan.objects.get(slug="starter")
    start = NOW - 40 * DAY
    periods.open_paid(alice.id, plan=starter, starts_at=start, ends_at=start + 30 * DAY, source_key="pay1", now=start)
    use(alice, 100, now=start + DAY)
    renewed = start + 30 * DAY
    periods.open_paid(
        alice.id, plan=starter, starts_at=renewed, ends_at=renewed + 30 * DAY, source_key="pay2", now=renewed
    )
    upgraded = renewed + 3 * DAY
    upgrades.grow(alice.id, plan=pro, instead_of=starter, at=upgraded, source_key="pay3", now=upgraded)
    bought = grants.grant(alice.id, Decimal(137), kind=Grant.Kind.PURCHASED, source_key="buy", now=upgraded + DAY)
    refund = "Paddle txn_secret: money went back"
    grants.void(bought, Decimal(48), source_key="back", reason=refund, now=upgraded + 2 * DAY)
    grants.restore(bought, Decimal(40), source_key="back", reason=refund, now=upgraded + 3 * DAY)
    grants.grant(
        alice.id,
        Decimal("7.5"),
        kind=Grant.Kind.COURTESY,
        source_key="sorry",
        reason="angry customer, see ticket 9",
        expires_at=upgraded + 5 * DAY,
        now=upgraded + 4 * DAY,
    )
    grants.void(
        bought, Decimal(2), source_key="op", reason="a slip", actor_id=charlie.id, now=upgraded + 4 * DAY + DAY / 2
    )
    use(alice, 3, now=NOW - timedelta(hours=1))
    assert_it_adds_up(alice)
    told = [(what, change) for _, what, change, _ in rows(browser, "?range=90d")]
    grown = Decimal("675.000000")
    assert told == [
        ("Used 1 request on 10 May 2026", -3),
        ("Courtesy credits expired", Decimal("-7.5")),
        ("Corrected taken back by our support", -2),
        ("Courtesy credits until 8 May 2026", Decimal("7.5")),
        ("Restored the payment counts again Billing", 40),
        ("Refunded bought credits Billing", -48),
        ("Bought 137 credits they never expire Billing", 137),
        ("Upgraded to Pro for the rest of 30 Apr – 30 May 2026", grown),
        ("Plan credits 30 Apr – 30 May 2026", 250),
        ("150 credits rolled over unused of 31 Mar – 30 Apr 2026", 0),
        ("Used 1 request on 1 Apr 2026", -100),
        ("Starter plan 31 Mar – 30 Apr 2026", 250),
    ]
    html = browser.get(f"{HISTORY}?range=90d").content.decode()
    for secret in ("angry", "ticket", "Paddle", "txn_", "slip", str(charlie.id), "sorry"):
        assert secret not in html


def test_a_plan_without_credits_has_no_line_of_nothing(alice: User) -> None:  # C8
    nothing = Plan.objects.create(slug="none", name="None", position=9, monthly_credits=0)
    periods.open_paid(alice.id, plan=nothing, starts_at=NOW - DAY, ends_at=NOW + DAY, source_key="pay", now=NOW - DAY)
    assert LedgerEntry.objects.filter(amount=0).exists()
    assert all_changes(alice) == []
    grants.grant(alice.id, Decimal(5), kind=Grant.Kind.COURTESY, source_key="sorry", now=NOW)
    assert [change.what for change in assert_it_adds_up(alice)] == ["Courtesy credits"]


def test_what_was_used_stands_after_all_else_of_its_day(browser: Client, alice: User) -> None:  # C8
    User.objects.filter(id=alice.id).update(time_zone="Asia/Kathmandu")
    use(alice, 5, now=NOW - timedelta(hours=3))
    grants.grant(alice.id, Decimal(10), kind=Grant.Kind.PURCHASED, source_key="buy", now=NOW - timedelta(hours=1))
    use(alice, 2, at=NOW - timedelta(hours=18), now=NOW)
    # Free opened with the first request, and a request of the day before was reported later still.
    assert [(day, what.split()[0], change, balance) for day, what, change, balance in rows(browser)] == [
        ("10 May 2026", "Used", -5, 53),
        ("10 May 2026 16:52", "Bought", 10, 58),
        ("10 May 2026 14:52", "Free", 50, 48),
        ("9 May 2026", "Used", -2, -2),
    ]


def test_a_debt_is_a_balance_below_nothing(browser: Client, alice: User) -> None:  # C8 M5
    use(alice, 60)
    assert rows(browser)[0][2:] == (-60, -10)
    assert_it_adds_up(alice)


def test_what_is_used_in_the_future_does_not_bend_today_s_balance(browser: Client, alice: User) -> None:  # C8
    """A backend's clock may be minutes ahead, across midnight: the range of today ends with today's balance."""
    moment = datetime(2026, 5, 10, 23, 58, tzinfo=UTC)
    use(alice, 5, now=moment, at=moment)
    use(alice, 7, now=moment, at=moment + timedelta(minutes=4))
    assert rows(browser, "?range=custom&from=2026-05-10&to=2026-05-10")[0][2:] == (-5, 45)
    assert rows(browser, "?range=custom&from=2026-05-10&to=2026-05-11")[0][2:] == (-7, 38)


def test_a_range_of_the_past_has_the_balance_of_then(browser: Client, alice: User) -> None:  # C5 C8
    for day in (8, 5, 3, 1):
        use(alice, day, now=NOW - day * DAY)
    grants.grant(alice.id, Decimal(10), kind=Grant.Kind.PURCHASED, source_key="buy", now=NOW)
    told = rows(browser, "?range=custom&from=2026-05-03&to=2026-05-06")
    assert [(day, change, balance) for day, _, change, balance in told] == [("5 May 2026", -5, 37)]


def test_history_follows_dates_and_leaves_models_alone(browser: Client, alice: User) -> None:  # C5 C8
    use(alice, 5)
    html = browser.get(f"{HISTORY}?range=7d&model=gpt-5").content.decode()
    assert rows(browser, "?range=7d&model=gpt-5") == rows(browser, "?range=7d")
    assert 'id="filter-model"' not in html
    assert '<input type="hidden" name="model" value="gpt-5">' in html
    assert "/dashboard/credits/models?range=7d&amp;model=gpt-5" in html


def test_days_of_usage_lead_to_their_requests(browser: Client, alice: User) -> None:  # C8
    use(alice, 5)
    html = browser.get(f"{HISTORY}?range=7d").content.decode()
    assert 'href="/dashboard/credits?range=custom&amp;from=2026-05-10&amp;to=2026-05-10"' in html


def test_pages_of_twenty(browser: Client, alice: User) -> None:  # C8
    for day in range(60):
        use(alice, Decimal("0.1"), now=NOW - day * DAY)
    told = [rows(browser, f"?range=90d&page={page}") for page in (1, 2, 3, 4)]
    assert [len(page) for page in told[:3]] == [20, 20, 20]
    assert 0 < len(told[3]) <= 20
    joined = [row for page in told for row in page]
    assert [row[3] - row[2] for row in joined[:-1]] == [row[3] for row in joined[1:]]
    assert "There is no page 99" in words(browser.get(f"{HISTORY}?range=90d&page=99").content.decode())
    assert rows(browser, "?range=90d&page=99", 422) == told[0]


def test_a_load_gives_the_page_a_tab_its_content_and_a_filter_the_table_and_cards(browser: Client, alice: User) -> None:
    full, content, region = (
        browser.get(HISTORY, headers=headers).content.decode()
        for headers in (None, {"HX-Request": "true", "HX-Target": "main"}, {"HX-Request": "true", "HX-Target": "usage"})
    )
    assert full.startswith("<!doctype html>")
    assert "<html" not in content
    assert region.strip().startswith('<div id="usage" ')
    assert [html.count("<b>Free plan</b>") for html in (full, content, region)] == [1, 1, 1]


def test_a_stranger_sees_their_own(client: Client, alice: User, charlie: User, sign_in: SignIn) -> None:  # B10
    use(alice, 5)
    sign_in(client, charlie)
    assert [what.split()[0] for _, what, _, _ in rows(client, f"?account={alice.id}")] == ["Free"]


def test_a_visitor_signs_in_first(client: Client) -> None:  # N1
    assert client.get(HISTORY).headers["Location"] == "/accounts/login/?next=%2Fdashboard%2Fcredits%2Fhistory"


def test_days_without_a_change_say_so(browser: Client, alice: User) -> None:  # C11
    html = browser.get(f"{HISTORY}?range=custom&from=2026-05-02&to=2026-05-03").content.decode()
    assert "Nothing changed in these days" in html


def test_every_demo_account_s_history_ends_at_its_cards(alice: User, clock: time_machine.Traveller) -> None:  # C8 S1
    demo.make_accounts(NOW, lambda line: None)
    for persona in demo.PERSONAS:
        user = User.objects.get(email=persona.email)
        changes = assert_it_adds_up(user)
        with current_balance(user.id, NOW) as b:
            assert changes[0].balance == b.plan_left + b.additional + b.courtesy - b.debt
            assert changes[0].balance == b.available + b.held - b.debt
            assert len(changes) > 80


@pytest.mark.parametrize(
    ("query", "count"),
    [("", 5), ("?range=90d&page=3", 5), ("?range=custom&from=2020-01-01&to=2026-05-10", 6), ("?range=7d", 5)],
)
def test_history_asks_the_same_few_queries(browser: Client, alice: User, query: str, count: int) -> None:  # C8
    for day in range(70):
        use(alice, Decimal("0.1"), now=NOW - day * DAY)
        grants.grant(alice.id, Decimal(1), kind=Grant.Kind.COURTESY, source_key=f"{day}", now=NOW - day * DAY)
    browser.get(HISTORY + query)
    with CaptureQueriesContext(connection) as asked:
        assert browser.get(HISTORY + query).status_code == 200
    assert len(asked) == count, [query["sql"][:90] for query in asked]
