"""The chart says what the rows say, day by day of the account's zone, whatever its clocks do."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credits.models import AIModel, CreditPeriod, Grant, ModelPrice, UsageEvent, UsageRollup, Wallet
from credits.pages import chart_svg
from credits.pages.chart import Chart
from credits.reports import timeseries, usage
from credits.reports.spans import QUARTER, Span
from credits.reports.timeseries import Bars
from credits.usage import recording
from sidekick.accounts import device_sessions, tokens
from sidekick.accounts.models import DeviceSession, User
from tests.credits.books import NOW, assert_books_balance, event, use

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
SignIn = Callable[[Client, User], None]
REQUESTS, MODELS = "/dashboard/credits", "/dashboard/credits/models"
DAY = timedelta(days=1)
ZONES = ["UTC", "Asia/Kolkata", "Asia/Kathmandu", "America/New_York", "Pacific/Chatham"]
# Days on which clocks change: New York forward and back, Chatham back and forward.
CHANGES = [date(2026, 3, 8), date(2026, 11, 1), date(2026, 4, 5), date(2026, 9, 27)]
NAMES = ["claude-haiku-4-5", "gpt-5", "gpt-5-mini"]


def page(client: Client, path: str, headers: dict[str, str] | None = None) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code == 200, response.content[:300]
    return response.content.decode()


def drawn(html: str) -> list[str]:
    """The title of each bar of the picture."""
    return [unescape(title) for title in re.findall(r'<g class="chart-bar"><title>(.*?)</title>', html, re.S)]


def exact(text: str) -> Decimal:
    return Decimal(text.replace(",", "").replace("−", "-"))


def shown_total(html: str) -> Decimal:
    found = re.search(r'class="chart-head">.*?<b title="([^"]+)"', html, re.S)
    return exact(found[1]) if found else Decimal(0)


def days_of(html: str) -> list[Decimal]:
    """The exact credits of the days in the table below the picture."""
    rows = re.search(r'class="chart-rows">(.*?)</tbody>', html, re.S)
    return [exact(title) for title in re.findall(r'data-label="Credits" title="([^"]+)"', rows[1])] if rows else []


def by_hand(user: User, zone: ZoneInfo) -> dict[date, Decimal]:
    """The expected sums, added row by row in Python."""
    sums: dict[date, Decimal] = {}
    for row in UsageEvent.objects.filter(account=user.id):
        day = row.occurred_at.astimezone(zone).date()
        sums[day] = sums.get(day, Decimal(0)) + row.credits
    return sums


def record(user: User, moments: list[datetime]) -> None:
    events = [
        event(user, f"r{n:04d}", model=NAMES[n % 3], occurred_at=moment, input_tokens=991 * n + 1, output_tokens=n % 13)
        for n, moment in enumerate(moments)
    ]
    assert recording.record(events, max_age=timedelta.max, now=max(moments)).accepted == len(moments)


# Cuts that a day of UTC does not have --------------------------------------------------------------------------


@st.composite
def moments_near_edges(draw: st.DrawFn) -> tuple[ZoneInfo, date, list[datetime]]:
    """Moments around the midnights of a zone, of UTC, and around a change of its clocks, to the microsecond."""
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    change = draw(st.sampled_from(CHANGES))
    offsets = st.integers(-3, 3).flatmap(
        lambda day: st.sampled_from(
            [timedelta(0), timedelta(microseconds=1), -timedelta(microseconds=1), QUARTER, -QUARTER, timedelta(hours=7)]
        ).map(lambda near: timedelta(days=day) + near)
    )
    anchors = [datetime(change.year, change.month, change.day, tzinfo=each) for each in (zone, UTC)]
    picked = draw(st.lists(st.tuples(st.sampled_from(anchors), offsets), min_size=1, max_size=25))
    return zone, change, [(anchor.astimezone(UTC) + offset) for anchor, offset in picked]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=moments_near_edges())
def test_days_models_files_and_api_add_up_to_the_same(
    alice: User, data: tuple[ZoneInfo, date, list[datetime]]
) -> None:  # C4 C6 C7
    zone, change, moments = data
    forget(alice)
    User.objects.filter(id=alice.id).update(time_zone=zone.key)
    record(alice, moments)
    first, last = change - 2 * DAY, change + 2 * DAY
    wanted = {day: sum_ for day, sum_ in by_hand(alice, zone).items() if first <= day <= last}
    span = Span.for_days(first, last, zone)
    made = Chart.for_span(alice.id, span, zone)
    bars = [bar.credits for bar in made.bars] if made else []
    assert bars in ([], [wanted.get(first + n * DAY, Decimal(0)) for n in range(5)])
    with time_machine.travel(max(moments) + timedelta(minutes=1), tick=False):
        by_page, by_file, by_api = everywhere(alice, span, first, last)
        assert sum(bars) == by_page == by_file == by_api == sum(wanted.values())
        the_period_s_chart_is_what_was_used(alice)


def signed_in(user: User) -> Client:
    cache.clear()
    client, pair = Client(), device_sessions.start(user, ip="127.0.0.1", user_agent="tests")
    client.cookies[tokens.ACCESS_COOKIE], client.cookies[tokens.REFRESH_COOKIE] = pair.access, pair.refresh
    return client


def the_period_s_chart_is_what_was_used(user: User) -> None:
    html = page(signed_in(user), REQUESTS)
    used = re.search(r'Used Credits</h2>.*?title="([\d.,]+)"', html, re.S)
    assert used
    assert exact(used[1]) == shown_total(html) == sum(days_of(html))


def everywhere(user: User, span: Span, first: date, last: date) -> tuple[Decimal, Decimal, Decimal]:
    """The total of a span on the Models page, in the file of requests, and from the API."""
    client = signed_in(user)
    bearer = device_sessions.start(user, ip="127.0.0.1", user_agent="tests").access
    query = f"?range=custom&from={first}&to={last}"
    foot = re.search(r"<tfoot>.*?data-label=\"Credits\" title=\"([^\"]+)\"", page(client, MODELS + query), re.S)
    body = b"".join(client.get(f"{REQUESTS}/requests.csv{query}"))
    rows = csv.DictReader(io.StringIO(body.decode("utf-8-sig")))
    api = client.get(
        "/api/v1/usage/models",
        {"from": span.start.isoformat(), "to": span.end.isoformat()},
        headers={"Authorization": f"Bearer {bearer}"},
    ).json()
    file = sum((Decimal(row["Credits"]) for row in rows), Decimal(0))
    return exact(foot[1]) if foot else Decimal(0), file, Decimal(api["total"]["credits"])


def forget(user: User) -> None:
    """Remove all usage between two examples of one test."""
    for model in (UsageEvent, UsageRollup):
        model.objects.filter(account=user.id).delete()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM credits_ledgerentry WHERE account_id = %s", [user.id])
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    Grant.objects.filter(account=user).delete()
    CreditPeriod.objects.filter(account=user).delete()
    Wallet.objects.filter(account=user).delete()
    DeviceSession.objects.filter(user=user).delete()


@pytest.mark.parametrize("name", ZONES)
def test_the_period_s_days_are_what_the_card_says_was_used(browser: Client, alice: User, name: str) -> None:  # C1 C6
    """The period begins in the middle of a day, and of a quarter of an hour."""
    User.objects.filter(id=alice.id).update(time_zone=name, date_joined=NOW - timedelta(days=70, minutes=7, seconds=5))
    record(alice, [NOW - timedelta(hours=7, minutes=31, seconds=11) * n for n in range(150)])
    html = page(browser, REQUESTS)
    used = re.search(r'Used Credits</h2>.*?title="([\d.,]+)"', html, re.S)
    assert used
    assert exact(used[1]) == shown_total(html) == sum(days_of(html)) == CreditPeriod.objects.get(closed_at=None).used
    assert 0 < exact(used[1]) < sum(by_hand(alice, ZoneInfo(name)).values())
    assert_books_balance()


@pytest.mark.parametrize(("name", "hours"), [("America/New_York", 23), ("Pacific/Chatham", 24)])
def test_a_day_that_lost_an_hour_is_one_bar(alice: User, name: str, hours: int) -> None:  # C6
    zone, day = ZoneInfo(name), date(2026, 3, 8)
    span = Span.for_days(day, day, zone)
    assert span.end - span.start == timedelta(hours=hours)
    record(alice, [span.start - QUARTER, span.start, span.end - timedelta(microseconds=1), span.end])
    made = Chart.for_span(alice.id, Span.for_days(day - DAY, day + DAY, zone), zone)
    assert made
    assert [bar.credits for bar in made.bars] == [by_hand(alice, zone)[day + DAY * n] for n in (-1, 0, 1)]


# The picture -------------------------------------------------------------------------------------------------


def test_a_page_a_tab_and_a_filter_have_the_same_chart_and_a_far_page_none(browser: Client, alice: User) -> None:  # C6
    record(alice, [NOW - timedelta(hours=3 * n) for n in range(60)])
    region = {"HX-Request": "true", "HX-Target": "usage"}
    swap = {"HX-Request": "true", "HX-Target": "main"}
    for path in (REQUESTS, MODELS):
        bars = drawn(page(browser, path))
        # From 30 April to the 31st of May, both included.
        assert len(bars) == 32
        assert bars == drawn(page(browser, path, region)) == drawn(page(browser, path, swap))
    assert drawn(page(browser, f"{REQUESTS}?page=2")) == []


def test_the_chart_follows_the_filters(browser: Client, alice: User) -> None:  # C5 C6
    record(alice, [NOW - timedelta(hours=3 * n) for n in range(60)])
    html = page(browser, f"{REQUESTS}?range=7d&model=gpt-5")
    rows = UsageEvent.objects.filter(account=alice.id, model__name="gpt-5", occurred_at__date__gt=NOW.date() - 7 * DAY)
    assert len(drawn(html)) == 7
    assert shown_total(html) == sum(row.credits for row in rows) == sum(days_of(html))
    assert drawn(html)[-1].startswith("10 May 2026: ")
    assert "gpt-5-mini" not in "".join(drawn(html))


def test_nothing_used_draws_nothing(browser: Client, alice: User) -> None:  # C11
    assert drawn(page(browser, REQUESTS)) == []
    use(alice, 1)
    for query in ("?range=custom&from=2026-01-01&to=2026-01-02", "?range=custom&from=2001-01-01&to=2019-01-02"):
        assert drawn(page(browser, MODELS + query)) == []


def test_a_stranger_s_chart_is_their_own(client: Client, alice: User, charlie: User, sign_in: SignIn) -> None:  # B10
    use(alice, 10)
    use(charlie, 2)
    sign_in(client, charlie)
    assert shown_total(page(client, f"{REQUESTS}?account={alice.id}")) == 2


def test_one_request_of_next_to_nothing_is_still_seen(browser: Client, alice: User) -> None:  # C6 M6
    use(alice, 40, now=NOW - DAY)
    use(alice, Decimal("0.00002"))
    html = page(browser, f"{REQUESTS}?range=custom&from=2026-05-09&to=2026-05-10")
    assert drawn(html)[1] == "10 May 2026: <0.01"
    heights = [float(height) for height in re.findall(r'class="series-\d"[^>]* height="([\d.]+)%"', html)]
    assert heights == [100, 0.8]


def test_nothing_of_the_chart_carries_a_style_and_names_are_words(browser: Client, alice: User) -> None:  # C6 N8
    evil = "</title><script>alert('{0}')</script>"
    price: dict[str, Any] = dict.fromkeys(("input", "output", "cache_read", "cache_write"), Decimal(20))
    ModelPrice.objects.create(model=AIModel.objects.create(name=evil), valid_from=NOW - DAY, **price)
    recording.record([event(alice, model=evil), event(alice, "2", model="gpt-5")], now=NOW)
    html = page(browser, REQUESTS)
    figure = html[html.index("<figure") : html.index("</figure>")]
    assert "style" not in figure
    assert "<script" not in figure
    assert next(bar for bar in drawn(html) if evil in bar).startswith("10 May 2026: ")


# Colours -------------------------------------------------------------------------------------------------------


def with_models(count: int) -> list[AIModel]:
    price: dict[str, Any] = dict.fromkeys(("input", "output", "cache_read", "cache_write"), Decimal(20))
    made = [AIModel.objects.create(name=f"model-{n:02d}") for n in range(count)]
    for model in made:
        ModelPrice.objects.create(model=model, valid_from=NOW - 100 * DAY, **price)
    return made


def even(user: User, count: int, tokens: int, price: int) -> None:
    """One request of this many tokens with each of so many models, all at the same price a million."""
    versions: dict[str, Any] = dict.fromkeys(("input", "output", "cache_read", "cache_write"), Decimal(price))
    made = [AIModel.objects.create(name=f"even-{n:03d}") for n in range(count)]
    for model in made:
        ModelPrice.objects.create(model=model, valid_from=NOW - DAY, **versions)
    recording.record(
        [event(user, model.name, model=model.name, input_tokens=tokens, output_tokens=0) for model in made], now=NOW
    )


def counted(shown: str) -> Decimal:
    return Decimal(0) if "<" in shown or shown in {"–", ""} else exact(shown.removesuffix("%"))


def column(html: str, label: str) -> list[Decimal]:
    """The figures of a column as they are shown, its total last where it has one."""
    cells = re.findall(rf'data-label="{label}"[^>]*>(.*?)</td>', html, re.S)
    return [counted(unescape(re.sub(r"<[^>]+>", "", cell)).strip()) for cell in cells]


@pytest.mark.parametrize(("count", "tokens", "price"), [(3, 33_333, 10), (127, 4_537, 10), (127, 40, 10), (3, 300, 10)])
def test_what_is_shown_adds_up_to_what_is_shown_as_its_total(
    browser: Client, alice: User, count: int, tokens: int, price: int
) -> None:  # C4 C6
    even(alice, count, tokens, price)
    figure, below = page(browser, MODELS).split("</figure>")
    *credits, total = column(below, "Credits")
    assert (len(credits), sum(credits)) == (count, total)
    *shares, hundred = column(below, "Share")
    assert (sum(shares), hundred) == (100, 100)
    assert len(set(credits)) <= 2
    drawn_total = re.search(r'chart-head">.*?<b[^>]*>(.*?)</b>', figure, re.S)
    assert drawn_total
    assert counted(unescape(drawn_total[1])) == total
    words = re.search(r'id="chart-words">(.*?)</desc>', figure)
    assert words
    parts = re.findall(r" (<?[\d.,]+\d)(?:,|\. Most)", unescape(words[1]).split(":", 1)[1])
    assert (len(parts), sum(map(counted, parts))) == (min(count, 7), total)
    day = re.search(r'class="chart-rows">(.*?)</tbody>', figure, re.S)
    assert day
    *models, bar = [counted(unescape(cell)) for cell in re.findall(r"<td[^>]*>(.*?)</td>", day[1])]
    assert sum(models) == bar == total
    assert sorted(credits) == sorted(column(page(browser, f"{MODELS}?sort=model"), "Credits")[-1 - count : -1])


def test_days_add_up_to_the_chart_s_total(browser: Client, alice: User) -> None:  # C6
    record(alice, [NOW - timedelta(hours=7 * n) for n in range(60)])
    html = page(browser, f"{REQUESTS}?range=90d").split("</figure>")[0]
    total = re.search(r'chart-head">.*?<b[^>]*>(.*?)</b>', html, re.S)
    assert total
    rows = re.findall(r"<tr>(.*?)</tr>", html.split('class="chart-rows">')[1], re.S)
    figures = [[counted(unescape(cell)) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)] for row in rows]
    assert all(sum(parts) == bar for *parts, bar in figures)
    assert sum(bar for *_, bar in figures) == exact(total[1])
    titles = [title.splitlines()[0].split(": ")[1] for title in drawn(html)]
    assert [counted(title) for title in titles if title != "0.00"][::-1] == [bar for *_, bar in figures][::-1]


def test_free_models_alone_are_said_to_cost_nothing(browser: Client, alice: User) -> None:  # C4 C6
    even(alice, 3, 1000, 0)
    for path in (REQUESTS, MODELS):
        html = page(browser, path)
        assert "These requests cost no credits, so there is nothing to draw." in html
        assert drawn(html) == []
        assert "Most on" not in html
        assert shown_total(html) == 0
    shares = re.findall(r'data-label="Share"[^>]*>(.*?)</td>', page(browser, MODELS), re.S)
    assert [re.sub(r"<[^>]+>", "", cell).strip() for cell in shares] == ["–"] * 4
    use(alice, 1)
    html = page(browser, MODELS)
    assert drawn(html) != []
    assert column(html, "Share")[-5:] == [100, 0, 0, 0, 100]


def test_a_correction_takes_from_a_day_and_nothing_is_drawn_below_the_line() -> None:
    bars = [
        chart_svg.Bar.with_parts("a", {0: Decimal("2.5"), 1: Decimal("-0.5")}, Decimal(2)),
        chart_svg.Bar.with_parts("b", {0: Decimal(-3)}, Decimal(-3)),
        chart_svg.Bar.with_parts("c", {0: Decimal(1), 1: Decimal(-1)}, Decimal(0)),
    ]
    series = [chart_svg.Series("one", "1", Decimal("0.5")), chart_svg.Series("two", "2", Decimal("-1.5"))]
    heights = re.findall(r'class="series-\d"[^>]* height="([^"]+)%"', chart_svg.plot(series, bars, ["a", "b", "c"]))
    assert [float(height) for height in heights] == [83.333, 0, 0, 33.333, 0]
    assert chart_svg.rows(series, bars).count("<tr>") == 3


def test_six_models_have_a_colour_and_the_others_share_one(browser: Client, alice: User) -> None:  # C6
    made = with_models(9)
    events = [event(alice, model.name, model=model.name, input_tokens=10_000 * (n + 1)) for n, model in enumerate(made)]
    recording.record(events, now=NOW)
    drawn = Chart.for_span(alice.id, Span.for_days(NOW.date(), NOW.date(), ZoneInfo("UTC")), ZoneInfo("UTC"))
    assert drawn
    assert [each.name for each in drawn.series] == [f"model-{n:02d}" for n in (8, 7, 6, 5, 4, 3)] + ["Others"]
    assert sorted(each.colour for each in drawn.series) == ["1", "2", "3", "4", "5", "6", "rest"]
    assert drawn.series[-1].credits == sum(
        row.credits for row in UsageEvent.objects.filter(model__name__in=["model-00", "model-01", "model-02"])
    )
    assert sum(drawn.bars[0].parts.values()) == drawn.credits == sum(row.credits for row in UsageEvent.objects.all())
    html = page(browser, MODELS)
    assert html.count('<span class="swatch series-rest"') == 1 + 3


def test_a_model_looks_the_same_whatever_the_range(alice: User) -> None:  # C6
    names = list(AIModel.objects.order_by("id").values_list("name", flat=True)[:6])
    events = [
        event(
            alice, f"{day} {name}", model=name, occurred_at=NOW - day * DAY, input_tokens=(7 * day * n) % 11 * 999 + 9
        )
        for day in range(1, 7)
        for n, name in enumerate(names[: day + 1])
    ]
    recording.record(events, now=NOW)
    zone, colours = ZoneInfo("UTC"), set()
    for day in range(1, 7):
        made = Chart.for_span(alice.id, Span.for_days(NOW.date() - day * DAY, NOW.date(), zone), zone)
        assert made
        colours |= set(made.colours.items())
    assert len(colours) == 6
    assert {colour for _, colour in colours} == set("123456")


# Long ranges, and what it costs --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ZONES)
def test_weeks_and_months_add_up_as_days_do(alice: User, name: str) -> None:  # C6
    zone = ZoneInfo(name)
    record(alice, [NOW - timedelta(hours=41, minutes=13, seconds=7) * n for n in range(400)])
    span = Span(NOW - timedelta(days=690, minutes=3), NOW + timedelta(minutes=1))
    rows = UsageEvent.objects.filter(account=alice.id, occurred_at__gte=span.start, occurred_at__lt=span.end)
    total = sum(row.credits for row in rows)
    for unit in ("day", "week", "month", "year"):
        slices = timeseries.usage_between(alice.id, Bars.of_unit(unit, span, zone).cuts)
        assert sum(piece.credits for piece in slices) == total
        assert sum(piece.requests for piece in slices) == len(rows)
        assert all(piece.credits > 0 for piece in slices)
    made = Chart.for_span(alice.id, span, zone)
    assert made
    assert (made.credits, made.unit) == (total, "week")


def test_a_range_without_end_begins_and_ends_with_what_was_used(alice: User) -> None:  # C6
    use(alice, 3, now=NOW - 30 * DAY)
    use(alice, 4)
    made = Chart.for_span(alice.id, Span.for_days(date(2000, 1, 1), date(2100, 1, 1), ZoneInfo("UTC")), ZoneInfo("UTC"))
    assert made
    assert (made.unit, len(made.bars), made.credits) == ("day", 31, 7)
    with CaptureQueriesContext(connection) as asked:
        Chart.for_span(alice.id, Span.for_days(date(2000, 1, 1), date(2100, 1, 1), ZoneInfo("UTC")), ZoneInfo("UTC"))
    assert len(asked) == 2


def test_the_scale_ends_at_a_round_number_above_the_most() -> None:
    for most in map(Decimal, ("0.000001", "0.9", "1", "1.01", "39.9", "41", "99.99", "100", "12345678.9")):
        top, lines = chart_svg._scale(most)
        assert top >= most
        assert 3 <= len(lines) <= 5
        assert lines[0] == 0
        assert top <= most * 2


def test_the_models_page_reads_the_sums_and_the_days_from_one_state(
    browser: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:  # C10
    use(alice, 5)
    seen: list[Any] = []
    read = usage.usage_by_model

    def noting(*args: Any, **kwargs: Any) -> Any:
        seen.append(connection.in_atomic_block)
        return read(*args, **kwargs)

    monkeypatch.setattr(usage, "usage_by_model", noting)
    html = page(browser, MODELS)
    assert seen == [True]
    assert shown_total(html) == 5
