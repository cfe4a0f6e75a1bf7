"""The Credits pages show the truth to the last decimal."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.test import Client

from credits.ledger import grants, periods
from credits.models import AIModel, CreditPeriod, Grant, ModelPrice, Plan, UsageEvent, Wallet
from credits.usage import recording
from sidekick import formatting
from sidekick.accounts import device_sessions
from sidekick.accounts.models import User
from tests.credits.books import NOW, assert_books_balance, event, use

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
SignIn = Callable[[Client, User], None]
REQUESTS, MODELS, BALANCE = "/dashboard/credits", "/dashboard/credits/models", "/dashboard/credits/balance"
HISTORY = "/dashboard/credits/history"
SWAP = {"HX-Request": "true", "HX-Target": "main", "HX-Current-URL": "http://testserver/dashboard/billing"}
REGION = {"HX-Request": "true", "HX-Target": "usage"}
DAY = timedelta(days=1)


@pytest.fixture
def used(alice: User) -> User:
    """45 requests of alice's over three days, three models."""
    models = ["claude-sonnet-4-5", "gpt-5", "gpt-5-mini"]
    recording.record(
        [
            event(
                alice,
                f"r{number:02d}",
                model=models[number % 3],
                occurred_at=NOW - timedelta(minutes=97 * number),
                input_tokens=1234 * number,
                output_tokens=number,
                cache_read_tokens=number % 7 * 1000,
                cache_write_tokens=number % 5 * 1000,
            )
            for number in range(45)
        ],
        now=NOW,
    )
    return alice


def page(client: Client, path: str, status: int = 200, headers: dict[str, str] | None = None) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code == status, response.content[:500]
    return response.content.decode()


def words(html: str) -> str:
    """The text of a page, with single spaces."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def cards(html: str) -> dict[str, tuple[str, Decimal, str]]:
    """By label: the figure as shown, the exact figure, and the note below."""
    found = re.findall(
        r'card-label">(.*?)</h2>.*?card-value[^"]*" title="(.*?)">(.*?)</p>.*?card-note">(.*?)</p>', html, re.S
    )
    assert len(found) == 4
    return {label: (words(shown), exact(title), words(note)) for label, title, shown, note in found}


def exact(text: str) -> Decimal:
    return Decimal(text.replace(",", "").replace("−", "-"))


def table(html: str) -> list[dict[str, str]]:
    """The rows of the body: the words of each cell by its label, the exact credits, and the row's heading."""
    body = re.search(r"<tbody>(.*?)</tbody>", html, re.S)
    return [row_of(row) for row in re.findall(r"<tr>(.*?)</tr>", body[1], re.S)] if body else []


def row_of(row: str) -> dict[str, str]:
    cells = {label: words(cell) for label, cell in re.findall(r'data-label="([^"]+)"[^>]*>(.*?)</td>', row, re.S)}
    heading = re.search(r"<th scope=\"row\".*?>(.*?)</th>", row, re.S)
    title = re.search(r'data-label="Credits" title="([^"]+)"', row)
    moment = re.search(r'datetime="([^"]+)"', row)
    assert heading
    assert title
    return {**cells, "heading": words(heading[1]), "exact": title[1], "moment": moment[1] if moment else ""}


def all_rows(client: Client, query: str = "") -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    number = 1
    while shown := table(page(client, f"{REQUESTS}?{query}&page={number}")):
        rows += shown
        number += 1
        if len(shown) < 20:
            break
    return rows


def test_a_load_gives_the_page_a_tab_its_content_and_a_filter_the_table_with_its_cards(
    browser: Client, used: User
) -> None:  # N4 C10
    for path in (REQUESTS, MODELS):
        full, content, region = (
            page(browser, path),
            page(browser, path, headers=SWAP),
            page(browser, path, headers=REGION),
        )
        assert full.startswith("<!doctype html>")
        assert content.count("<title>Credits · Sidekick</title>") == 1
        assert "<html" not in content
        assert region.strip().startswith('<div id="usage" ')
        assert '<div id="balance" hx-swap-oob="true"' in region
        assert "hx-swap-oob" not in full
        assert full.count('id="usage"') == content.count('id="usage"') == region.count('id="usage"') == 1
        assert table(full) == table(content) == table(region) != []
        assert cards(full) == cards(content) == cards(region)


def test_a_stranger_sees_only_their_own(client: Client, used: User, charlie: User, sign_in: SignIn) -> None:  # B10
    sign_in(client, charlie)
    assert "Your requests will appear here" in page(client, REQUESTS)
    his = event(charlie, "his", model="claude-haiku-4-5", occurred_at=NOW - DAY)
    recording.record([his], now=NOW)
    for query in ("", f"?account={used.id}", f"?account={used.id}&range=90d", f"?user={used.id}&range=7d"):
        assert [row["Model"] for row in table(page(client, REQUESTS + query))] == ["claude-haiku-4-5"]
        assert [row["heading"] for row in table(page(client, MODELS + query))] == ["claude-haiku-4-5"]
        for path in (REQUESTS, MODELS, BALANCE):
            html = page(client, path + query)
            assert cards(html)["Used Credits"][1] == Decimal("0.058")
            assert "gpt-5" not in html
    assert table(page(client, f"{REQUESTS}?model=gpt-5")) == []


@pytest.mark.parametrize("path", [f"{REQUESTS}?range=7d&page=2", MODELS, BALANCE])
def test_a_visitor_signs_in_first_and_comes_back(client: Client, path: str) -> None:  # N1
    response = client.get(path)
    assert response.status_code == 302
    assert unescape(response.headers["Location"]).startswith("/accounts/login/?next=%2Fdashboard%2Fcredits")
    answer = client.get(path, headers=REGION | {"HX-Current-URL": "http://testserver/dashboard/credits?range=90d"})
    assert answer.headers["HX-Redirect"] == "/accounts/login/?next=%2Fdashboard%2Fcredits%3Frange%3D90d"
    assert answer.content == b""


@pytest.mark.parametrize("path", [REQUESTS, MODELS, BALANCE])
def test_looking_is_all_a_page_allows(browser: Client, path: str) -> None:
    assert browser.post(path).status_code == 405


NONSENSE = {
    "page=0": "There is no page 0",
    "page=4": "There is no page 4: pages go from 1 to 3.",
    "page=-1": "There is no page -1",
    "page=x%3Cb%3E": "There is no page x<b>",
    "page=": "There is no page",
    f"page={'9' * 5000}": "There is no page 9999",
    "page=1.5": "There is no page 1.5",
    "range=fortnight": "There is no such range; this is the current period.",
    "range=custom": "Choose a first and a last day.",
    "range=custom&from=2026-05-01": "Choose a first and a last day.",
    "range=custom&from=2026-05-09&to=2026-05-01": "The first day must not be after the last",
    "range=custom&from=0001-01-01&to=9999-12-31": "both after the year 2000",
    "range=custom&from=soon&to=2026-05-09": "Give the first day as a date",
    "range=custom&from=2026-05-09&to=2026-02-30": "Give the last day as a date",
    f"model={'x' * 101}": "at most 100 characters",
}


@pytest.mark.parametrize("query", NONSENSE)
def test_what_makes_no_sense_is_said_and_the_rest_still_shown(browser: Client, used: User, query: str) -> None:  # C5
    html = page(browser, f"{REQUESTS}?{query}", 422)
    assert NONSENSE[query] in words(html)
    assert len(table(html)) == 20
    region = page(browser, f"{REQUESTS}?{query}", headers=REGION)
    assert NONSENSE[query] in words(region)
    assert 'class="error-summary" role="alert" tabindex="-1" autofocus' in region


def test_the_first_period_has_none_before_it(browser: Client, alice: User) -> None:  # C5
    use(alice, 1)
    html = page(browser, f"{REQUESTS}?range=last", 422)
    assert "This is your first period: there is none before it." in words(html)


def test_a_refused_choice_keeps_what_was_chosen(browser: Client, used: User) -> None:  # C5
    html = page(browser, f"{REQUESTS}?range=custom&from=2026-05-09&to=2026-05-01&model=gpt-5", 422)
    assert '<option value="custom" selected>' in html
    assert 'name="from" value="2026-05-09"' in html
    assert 'name="to" value="2026-05-01"' in html
    assert re.search(r"<option[^>]* selected>gpt-5</option>", html)
    assert {row["Model"] for row in table(html)} == {"gpt-5"}


def test_a_sort_that_does_not_exist_is_said(browser: Client, used: User) -> None:  # C4
    for sort in ("nothing", "-", "--credits", "__class__", "credits;", ""):
        html = page(browser, f"{MODELS}?sort={sort}", 422)
        assert "There is no such column to sort by; this is by credits." in words(html)
        assert len(table(html)) == 3


def test_every_request_is_on_exactly_one_page(browser: Client, used: User) -> None:  # C3 M6
    stored = list(UsageEvent.objects.filter(account=used.id).order_by("-occurred_at").select_related("model"))
    shown = all_rows(browser)
    assert len(shown) == 45
    for row, cells in zip(stored, shown, strict=True):
        assert cells["Model"] == row.model.name
        assert datetime.fromisoformat(cells["moment"]) == row.occurred_at.replace(microsecond=0)
        assert [cells[label] for label in ("Input", "Output", "Cache read", "Cache write")] == [
            f"{count:,}"
            for count in (row.input_tokens, row.output_tokens, row.cache_read_tokens, row.cache_write_tokens)
        ]
        tokens_ = row.input_tokens + row.output_tokens + row.cache_read_tokens + row.cache_write_tokens
        assert cells["Tokens"] == f"{tokens_:,}"
        assert exact(cells["exact"]) == row.credits
        assert cells["Credits"] == formatting.credits(row.credits)
    assert "1–20 of 45 requests" in words(page(browser, REQUESTS))
    assert "41–45 of 45 requests" in words(page(browser, f"{REQUESTS}?page=3"))


def test_pages_link_to_each_other_and_keep_the_filters(browser: Client, used: User) -> None:  # C3 C5
    html = page(browser, f"{REQUESTS}?range=90d&page=2")
    links = {unescape(link) for link in re.findall(r'<a[^>]*href="(\?[^"]*)"', html)}
    assert links >= {"?range=90d", "?range=90d&page=2", "?range=90d&page=3"}
    assert re.search(r'rel="prev" href="\?range=90d"', html)
    assert re.search(r'rel="next" href="\?range=90d&amp;page=3"', html)
    assert len(re.findall(r'href="\?range=90d&amp;page=2"[^>]*aria-current="page"', html)) == 1
    assert 'rel="next"' not in page(browser, f"{REQUESTS}?range=90d&page=3")
    assert 'rel="prev"' not in page(browser, f"{REQUESTS}?range=90d")


def test_models_add_up_to_their_total_and_to_the_requests(browser: Client, used: User) -> None:  # C4
    html = page(browser, MODELS)
    rows, total = table(html), row_of(re.search(r"<tfoot><tr>(.*?)</tr></tfoot>", html, re.S)[1])  # type: ignore[index]
    assert len(rows) == 3
    for label in ("Requests", "Input", "Output", "Cache read", "Cache write"):
        assert sum(exact(row[label]) for row in rows) == exact(total[label])
    assert sum(exact(row["exact"]) for row in rows) == exact(total["exact"])
    assert exact(total["exact"]) == sum(exact(row["exact"]) for row in all_rows(browser))
    assert exact(total["exact"]) == cards(html)["Used Credits"][1]
    assert exact(total["exact"]) == CreditPeriod.objects.get().used
    assert total["Requests"] == "45"


@pytest.mark.parametrize(
    ("sort", "label"),
    [("model", "heading"), ("requests", "Requests"), ("input_tokens", "Input"), ("output_tokens", "Output"),
     ("cache_read_tokens", "Cache read"), ("cache_write_tokens", "Cache write"), ("credits", "exact")],
)  # fmt: skip
def test_models_sort_by_every_column_both_ways(browser: Client, used: User, sort: str, label: str) -> None:  # C4
    for query, descending in ((sort, False), (f"-{sort}", True)):
        html = page(browser, f"{MODELS}?sort={query}")
        shown = [row[label] if label == "heading" else exact(row[label]) for row in table(html)]
        assert shown == sorted(shown, reverse=descending)
        assert html.count(f'aria-sort="{"descending" if descending else "ascending"}"') == 1
        turned = sort if descending else f"-{sort}"
        assert f'id="sort-{sort}" href="?sort={turned}"' in html


def test_page_and_api_say_the_same(browser: Client, used: User) -> None:  # C1 M6
    grants.grant(used.id, Decimal("12.345678"), kind=Grant.Kind.PURCHASED, source_key="buy", now=NOW)
    access = device_sessions.start(used, ip="127.0.0.1", user_agent="tests").access
    api = Client(headers={"Authorization": f"Bearer {access}"})
    state, shown = api.get("/api/v1/credits").json(), cards(page(browser, REQUESTS))
    for label, key in (
        ("Available Credits", "available"),
        ("Used Credits", "used"),
        ("Total Credits", "total"),
        ("Additional Credits", "additional"),
    ):
        assert shown[label][1] == Decimal(state[key])
    models = {row["model"]: Decimal(row["credits"]) for row in api.get("/api/v1/usage/models").json()["results"]}
    assert {row["heading"]: exact(row["exact"]) for row in table(page(browser, MODELS))} == models
    assert len(all_rows(browser)) == api.get("/api/v1/usage").json()["count"]


def test_cards_and_section_have_the_documentation_s_names_and_order(browser: Client) -> None:  # C1
    for path in (REQUESTS, MODELS, HISTORY):
        html = page(browser, path)
        assert list(cards(html)) == ["Total Credits", "Used Credits", "Available Credits", "Additional Credits"]
        assert '<h2 id="usage-heading">Token Usage Statistics</h2>' in html


def test_a_new_account_is_told_what_will_appear(browser: Client, alice: User) -> None:  # C11
    for path in (REQUESTS, MODELS):
        html = page(browser, path)
        assert "Your requests will appear here" in html
        assert "You have 50.00 credits to start with. They come back on 31 May 2026." in words(html)
        assert 'id="filters"' not in html
        assert cards(html)["Available Credits"][0] == "50.00"


def test_days_without_requests_offer_more_days(browser: Client, used: User) -> None:  # C11
    for path in (REQUESTS, MODELS):
        html = page(browser, f"{path}?range=custom&from=2026-01-01&to=2026-01-02&model=gpt-5")
        assert "Nothing was used from 1 Jan 2026 – 2 Jan 2026 with gpt-5" in words(html)
        assert 'href="?range=90d"' in html
        assert 'id="filters"' in html


def parts(note: str) -> Decimal:
    """The sum of the parts in a card's note."""
    return sum((exact(amount) for amount in re.findall(r"[−]?[\d,]+\.\d+", note)), Decimal(0))


def test_a_debt_is_told_and_nothing_is_available(browser: Client, alice: User) -> None:  # M5 C1
    use(alice, 60)
    html = page(browser, REQUESTS)
    assert "You owe 10.00 credits." in words(html)
    shown = cards(html)
    assert shown["Available Credits"][:2] == ("0.00", 0)
    assert shown["Used Credits"] == ("60.00", 60, "plan 50.00 · additional 0.00 · owed 10.00")
    assert "120% of this period used" in words(html)
    assert 'value="100.00" max="100"' in html
    grants.grant(alice.id, Decimal(25), kind=Grant.Kind.PURCHASED, source_key="buy", now=NOW)
    html = page(browser, REQUESTS)
    assert "You owe" not in html
    assert cards(html)["Available Credits"] == ("15.00", 15, "additional 15.00")
    assert cards(html)["Additional Credits"] == ("15.00", 15, "of 25.00 bought · never expire")


def test_additional_courtesy_and_rollover_are_lines_that_add_up(
    browser: Client, alice: User, clock: time_machine.Traveller
) -> None:  # C1 M3 M8
    pro = Plan.objects.get(slug="pro")
    start = NOW - 40 * DAY
    for number in range(2):
        begins, ends = start + number * 30 * DAY, start + (number + 1) * 30 * DAY
        periods.open_paid(alice.id, plan=pro, starts_at=begins, ends_at=ends, source_key=f"pay{number}", now=begins)
        use(alice, "300.5", now=begins + DAY)
    grants.grant(alice.id, Decimal(200), kind=Grant.Kind.PURCHASED, source_key="buy", now=NOW)
    grants.grant(alice.id, Decimal("7.25"), kind=Grant.Kind.COURTESY, source_key="sorry", reason="outage", now=NOW)
    shown = cards(page(browser, REQUESTS))
    assert shown["Total Credits"] == ("1,699.50", Decimal("1699.5"), "plan 1,000.00 + rolled over 699.50")
    assert shown["Available Credits"][2] == "plan 1,399.00 + additional 200.00 + courtesy 7.25"
    assert parts(shown["Available Credits"][2]) == shown["Available Credits"][1] == Decimal("1606.25")
    use(alice, "1500", now=NOW)
    html = page(browser, REQUESTS)
    shown = cards(html)
    assert shown["Used Credits"][2] == "plan 1,699.50 · additional 93.75 · courtesy 7.25"
    assert parts(shown["Used Credits"][2]) == shown["Used Credits"][1] == Decimal("1800.5")
    assert shown["Additional Credits"] == ("106.25", Decimal("106.25"), "of 200.00 bought · never expire")
    assert "106% of this period used, 93.75 from additional credits" in words(html)
    assert_books_balance()


def test_a_hold_stands_beside_what_is_available(browser: Client, alice: User) -> None:  # C1 M4
    use(alice, 10)
    Wallet.objects.filter(account=alice).update(held=Decimal("2.5"))
    shown = cards(page(browser, REQUESTS))
    assert shown["Available Credits"] == ("37.50", Decimal("37.5"), "plan 40.00 + held −2.50")


def test_usage_that_came_late_is_a_line_of_its_own(
    browser: Client, alice: User, clock: time_machine.Traveller, sign_in: SignIn
) -> None:  # C1
    use(alice, 5, now=NOW)
    june = datetime(2026, 6, 2, 9, tzinfo=UTC)
    clock.move_to(june)
    sign_in(browser, alice)
    use(alice, 2, now=june)
    use(alice, "3.5", now=june, at=NOW + DAY)
    shown = cards(page(browser, REQUESTS))
    assert shown["Used Credits"] == ("2.00", 2, "plan 5.50 · additional 0.00 · for other periods −3.50")
    assert parts(shown["Used Credits"][2]) == shown["Used Credits"][1]
    assert shown["Available Credits"][1] == Decimal("44.5")
    last = page(browser, f"{MODELS}?range=last")
    assert sum(exact(row["exact"]) for row in table(last)) == Decimal("8.5")
    assert sum(exact(row["exact"]) for row in table(page(browser, MODELS))) == 2
    assert_books_balance()


@pytest.mark.parametrize(
    ("credits", "percent", "high"),
    [("0.00002", "<1%", False), ("0.4", "<1%", False), ("0.5", "1%", False), ("39.99", "79%", False),
     ("40", "80%", True), ("49.999", "99%", True), ("50", "100%", True), ("50.2", "100%", True),
     ("700", "1,400%", True)],
)  # fmt: skip
def test_the_bar_says_what_share_is_used(
    browser: Client, alice: User, credits: str, percent: str, high: bool
) -> None:  # C2
    use(alice, Decimal(credits))
    html = page(browser, REQUESTS)
    assert f"{percent} of this period used" in words(html)
    assert bool(re.search(r"meter-(high|over)", html)) == high


def test_small_amounts_never_look_like_nothing(browser: Client, alice: User) -> None:  # M6
    use(alice, Decimal("0.00002"))
    html = page(browser, REQUESTS)
    assert table(html)[0]["Credits"] == "<0.01"
    assert cards(html)["Used Credits"] == ("<0.01", Decimal("0.00002"), "plan 0.00002 · additional 0.00")
    assert cards(html)["Available Credits"][1] == Decimal("49.99998")
    assert exact(table(page(browser, MODELS))[0]["exact"]) == Decimal("0.00002")


def test_the_balance_alone_is_what_the_page_shows(browser: Client, used: User) -> None:  # C10
    assert cards(page(browser, BALANCE)) == cards(page(browser, REQUESTS))
    alone = page(browser, BALANCE)
    assert alone.strip().startswith('<div id="balance" data-live="/dashboard/credits/balance"')
    assert "As of <time" in alone


def test_a_free_month_opens_when_somebody_looks(
    browser: Client, alice: User, clock: time_machine.Traveller, sign_in: SignIn
) -> None:  # M7
    use(alice, 10)
    clock.move_to(datetime(2026, 9, 1, tzinfo=UTC))
    sign_in(browser, alice)
    html = page(browser, BALANCE)
    assert cards(html)["Available Credits"][0] == "50.00"
    assert "Since 31 Aug 2026 · resets on 30 Sep 2026" in words(page(browser, REQUESTS))


ZONES = ["UTC", "Asia/Kathmandu", "America/New_York", "Pacific/Apia", "Australia/Lord_Howe", "Africa/Cairo"]


def around_the_clock(user: User, end: datetime, days: int) -> None:
    """A request every 53 minutes, so that some fall on both sides of every midnight of every zone."""
    count = days * 24 * 60 // 53
    events = [
        event(user, f"r{n:05d}", occurred_at=end - timedelta(minutes=53 * n), input_tokens=n * 31, model="gpt-5")
        for n in range(count)
    ]
    for start in range(0, count, 1000):
        recording.record(events[start : start + 1000], max_age=timedelta.max, now=end)


def by_hand(user: User, zone: ZoneInfo, first: date, last: date) -> tuple[int, Decimal]:
    rows = [
        row.credits
        for row in UsageEvent.objects.filter(account=user.id)
        if first <= row.occurred_at.astimezone(zone).date() <= last
    ]
    return len(rows), sum(rows, Decimal(0))


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("now", ["2026-03-12T03:30:00Z", "2026-11-05T22:10:00Z", "2026-04-25T23:59:59Z"])
def test_days_are_those_of_the_account_s_zone(
    browser: Client, alice: User, clock: time_machine.Traveller, sign_in: SignIn, name: str, now: str
) -> None:  # C5 C6
    moment, zone = datetime.fromisoformat(now), ZoneInfo(name)
    clock.move_to(moment)
    sign_in(browser, alice)
    User.objects.filter(id=alice.id).update(time_zone=name)
    around_the_clock(alice, moment, 12)
    today = moment.astimezone(zone).date()
    spans = {"range=7d": (today - 6 * DAY, today)}
    for first in range(1, 9):
        day = today - first * DAY
        spans[f"range=custom&from={day}&to={day}"] = (day, day)
    total = Decimal(0)
    for query, (first_day, last_day) in spans.items():
        count, credits = by_hand(alice, zone, first_day, last_day)
        html = page(browser, f"{MODELS}?{query}")
        assert count > 20
        assert table(html)[0]["Requests"] == f"{count:,}"
        assert exact(table(html)[0]["exact"]) == credits
        assert f"of {count:,} requests" in words(page(browser, f"{REQUESTS}?{query}"))
        total += credits if "custom" in query else 0
    week = page(browser, f"{MODELS}?range=custom&from={today - 8 * DAY}&to={today - DAY}")
    assert exact(table(week)[0]["exact"]) == total


def test_times_stand_in_the_account_s_zone(browser: Client, alice: User) -> None:
    User.objects.filter(id=alice.id).update(time_zone="Asia/Kathmandu")
    use(alice, 1)
    row = table(page(browser, REQUESTS))[0]
    assert row["heading"] == "10 May 2026 17:52:30"
    assert row["moment"] == "2026-05-10T17:52:30+05:45"
    assert "times in Asia/Kathmandu" in page(browser, REQUESTS)
    User.objects.filter(id=alice.id).update(time_zone="Mars/Olympus")
    assert table(page(browser, REQUESTS))[0]["heading"] == "10 May 2026 12:07:30"


def test_an_hour_that_comes_twice_shows_its_offset(
    browser: Client, alice: User, clock: time_machine.Traveller, sign_in: SignIn
) -> None:  # C3 C8 C10
    User.objects.filter(id=alice.id).update(time_zone="Europe/Berlin")
    first, second = (datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1))
    clock.move_to(second)
    sign_in(browser, alice)
    for moment in (first, second):
        use(alice, 1, now=moment)
        grants.grant(alice.id, Decimal(1), kind=Grant.Kind.COURTESY, source_key=str(moment), now=moment)
    html = page(browser, REQUESTS)
    assert [row["heading"] for row in table(html)] == ["25 Oct 2026 02:30:00 +01:00", "25 Oct 2026 02:30:00 +02:00"]
    assert "As of <time" in html
    assert ">02:30:00 +01:00</time>" in html
    assert browser.get(BALANCE).headers["Sidekick-Clock"] == "02:30:00 +01:00"
    shown = words(page(browser, HISTORY))
    assert "25 Oct 2026 02:30 +01:00" in shown
    assert "25 Oct 2026 02:30 +02:00" in shown


NAMES = ["acme two", "acme  two", " acme", "acme ", "  "]


def test_names_that_differ_in_their_spaces_are_told_apart_and_filtered(browser: Client, alice: User) -> None:  # C5
    price: dict[str, Any] = dict.fromkeys(("input", "output", "cache_read", "cache_write"), Decimal(20))
    for name in NAMES:
        ModelPrice.objects.create(model=AIModel.objects.create(name=name), valid_from=NOW - DAY, **price)
    recording.record([event(alice, f"r{n}", model=name, occurred_at=NOW) for n, name in enumerate(NAMES)], now=NOW)
    html = page(browser, REQUESTS)
    options = dict(re.findall(r'<option value="([^"]*)"[^>]*>([^<]*)</option>', html))
    assert set(NAMES) <= set(options)
    # A browser shows runs of spaces in a choice as one, but not these.
    assert len({" ".join(options[name].split(" ")).strip(" ") for name in NAMES}) == len(NAMES)
    for name in NAMES:
        for path in (REQUESTS, MODELS):
            html = page(browser, f"{path}?{urlencode({'model': name})}")
            assert len(table(html)) == 1
            assert f'<span class="model">{name}</span>' in html
            assert re.search(rf'<option value="{name}" selected>', html)
        file = b"".join(browser.get(f"{REQUESTS}/requests.csv?{urlencode({'model': name})}"))
        assert len(file.splitlines()) == 2


def test_names_from_outside_are_words_not_markup(browser: Client, alice: User) -> None:
    evil = "<script>alert('{0}')</script>&amp;"
    price: dict[str, Any] = dict.fromkeys(("input", "output", "cache_read", "cache_write"), Decimal(20))
    ModelPrice.objects.create(model=AIModel.objects.create(name=evil), valid_from=NOW - DAY, **price)
    receipt = recording.record([event(alice, '"><img src=x>{}', model=evil)], now=NOW)
    assert receipt.accepted == 1
    for path in (
        REQUESTS,
        MODELS,
        f"{REQUESTS}?model=%3Cscript%3E",
        f"{REQUESTS}?range=custom&from=%22%3E%3Cscript%3E",
    ):
        html = browser.get(path).content.decode()
        assert "<script>" not in html
        assert "<img" not in html
    assert table(page(browser, REQUESTS))[0]["Model"] == evil
    assert table(page(browser, MODELS))[0]["heading"] == evil
    assert 'title="&quot;&gt;&lt;img src=x&gt;{}"' in page(browser, REQUESTS)
