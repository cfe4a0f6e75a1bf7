"""The URL's days and models become a span and a model."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from credits.pages.filters import Filters
from credits.reports.balance import Balance
from credits.reports.spans import Span
from sidekick.accounts.models import User

NOW = datetime(2026, 3, 10, 3, 30, tzinfo=UTC)
START, END, BEFORE = (datetime(2026, month, 5, 9, 30, tzinfo=UTC) for month in (3, 4, 2))
NEW_YORK = ZoneInfo("America/New_York")


def balance(*, account_id: uuid.UUID | None = None, as_of: datetime = NOW) -> Balance:
    nothing = dict.fromkeys(
        ("total", "rollover", "used", "plan_used", "additional_used", "courtesy_used", "plan_left", "rollover_left",
         "additional", "bought", "courtesy", "held", "debt"),
        Decimal(0),
    )  # fmt: skip
    return Balance(
        account_id=account_id or uuid.uuid4(), plan="free", plan_name="Free", may_buy_credits=False,
        starts_at=START, ends_at=END, as_of=as_of, **nothing,
    )  # fmt: skip


def read(query: str, zone: str = "UTC", **changes: object) -> Filters:
    return Filters.from_query(QueryDict(query), balance(**changes), ZoneInfo(zone))  # type: ignore[arg-type]


def test_without_a_choice_it_is_the_current_period() -> None:  # C5
    filters = read("")
    assert (filters.span, filters.errors, filters.query) == (Span(START, END), [], {})
    assert filters.link() == "?"


def test_the_last_period_is_the_one_before_the_open_one(alice: User) -> None:  # C5
    assert read("range=last", account_id=alice.id).errors
    for start, end, closed in ((BEFORE, START, START), (START, END, None)):
        alice.credit_periods.create(
            plan_id="free", allocation=50, starts_at=start, ends_at=end, anchor=start, closed_at=closed
        )
    filters = read("range=last", account_id=alice.id)
    assert (filters.span, filters.errors) == (Span(BEFORE, START), [])


def test_a_period_whose_successor_is_late_goes_on_until_now() -> None:  # M7
    late = END + timedelta(days=3)
    assert read("", as_of=late).span.end > late


@pytest.mark.parametrize(("zone", "day"), [("UTC", 10), ("America/New_York", 9), ("Asia/Kathmandu", 10)])
def test_the_last_seven_days_end_with_the_account_s_today(zone: str, day: int) -> None:  # C5
    span, today = read("range=7d", zone).span, date(2026, 3, day)
    assert span.start == datetime.combine(today - timedelta(days=6), time.min, ZoneInfo(zone))
    assert span.end == datetime.combine(today + timedelta(days=1), time.min, ZoneInfo(zone))


def test_a_day_that_lost_an_hour_has_23() -> None:  # C6
    assert read("range=custom&from=2026-03-08&to=2026-03-08", "America/New_York").span == Span(
        datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 3, 9, 4, tzinfo=UTC)
    )
    november = Span.for_days(date(2026, 11, 1), date(2026, 11, 1), NEW_YORK)
    assert november.end - november.start == timedelta(hours=25)


def test_links_carry_the_choice() -> None:  # C5
    filters = read("range=custom&from=2026-03-01&to=2026-03-05&model=a%26b")
    assert filters.link(page=2) == "?range=custom&from=2026-03-01&to=2026-03-05&model=a%26b&page=2"
    assert filters.dates == "1 Mar 2026 – 5 Mar 2026"
    assert read("range=period&model=&from=2026-03-01").query == {}


def test_dates_of_one_s_own_start_from_those_on_the_screen() -> None:  # C5
    for query, first, last in (
        ("", "2026-03-05", "2026-04-05"),
        ("range=7d&from=2020-01-01", "2026-03-03", "2026-03-09"),
    ):
        filters = read(query, "America/New_York")
        assert (filters.first, filters.last) == (first, last)
    refused = read("range=custom&from=soon&to=2026-03-09")
    assert (refused.asked, refused.first, refused.last) == ("custom", "soon", "2026-03-09")


@pytest.mark.django_db
@given(text=st.text(max_size=30), name=st.sampled_from(["range", "from", "to", "model"]))
def test_any_text_is_answered_with_a_span(text: str, name: str) -> None:
    data = QueryDict(mutable=True)
    data.update({"range": "custom", "from": "2026-03-01", "to": "2026-03-05", name: text})
    filters = Filters.from_query(data, balance(), NEW_YORK)
    assert filters.span.start < filters.span.end
    assert filters.errors or filters.range in filters.query.get("range", "period")


@pytest.mark.parametrize("typed", ["05/06/2026", "5/6/26", "２０２６-05-06", "2026-5-6", "6 May 2026", "May 6, 2026"])
def test_a_date_is_read_in_one_way_only(typed: str) -> None:  # C5
    filters = read(f"range=custom&from={typed}&to=2026-05-31")
    assert filters.errors == ["Give the first day as a date, like 2026-05-01."]
    assert (filters.span, filters.first) == (Span(START, END), typed)
