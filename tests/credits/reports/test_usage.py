"""Sums and pages agree with the rows themselves, whatever the span."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from credits.models import UsageEvent
from credits.reports import usage
from credits.reports.spans import Span
from credits.usage import recording
from sidekick.accounts.models import User
from tests.credits.books import event

NOW = datetime(2026, 5, 10, 12, 7, 30, tzinfo=UTC)
MODELS = ["claude-haiku-4-5", "gpt-5", "gpt-5-mini"]


@pytest.fixture
def used(alice: User) -> User:
    """400 requests over five days, in bursts that share quarters and even moments, and long gaps."""
    dice = random.Random(7)
    starts = [NOW - timedelta(days=5) * dice.random() for _ in range(40)]
    events = [
        event(
            alice,
            f"req_{number:04d}",
            occurred_at=dice.choice(starts) + timedelta(seconds=dice.randrange(400)),
            model=dice.choices(MODELS, [50, 10, 1])[0],
            input_tokens=dice.randrange(100_000),
        )
        for number in range(400)
    ]
    recording.record(events, now=NOW)
    return alice


SPANS = [
    Span(NOW - timedelta(days=6), NOW + timedelta(days=1)),
    Span(NOW - timedelta(days=4, hours=3, minutes=1), NOW - timedelta(hours=2, minutes=22)),
    Span(NOW - timedelta(days=2), NOW - timedelta(days=2) + timedelta(minutes=11)),
    Span(NOW - timedelta(hours=20), NOW - timedelta(hours=1)),
    Span(NOW + timedelta(days=1), NOW + timedelta(days=2)),
]


@pytest.mark.django_db
@pytest.mark.parametrize("span", SPANS, ids=range(len(SPANS)))
@pytest.mark.parametrize("model", [None, *MODELS])
def test_pages_follow_each_other_without_gap_or_repeat(used: User, span: Span, model: str | None) -> None:  # C3, C5
    wanted = UsageEvent.objects.filter(account=used.id, occurred_at__gte=span.start, occurred_at__lt=span.end)
    if model:
        wanted = wanted.filter(model__name=model)
    ids = list(wanted.order_by("-occurred_at", "-request_id").values_list("request_id", flat=True))
    pages = [
        [row.request_id for row in usage.usage_page(used.id, span, page=page, model=model).rows]
        for page in range(1, len(ids) // 20 + 3)
    ]
    assert [request_id for page in pages for request_id in page] == ids
    assert all(len(page) == 20 for page in pages[: len(ids) // 20])


@pytest.mark.django_db
@pytest.mark.parametrize("span", SPANS, ids=range(len(SPANS)))
def test_sums_equal_the_rows(used: User, span: Span) -> None:  # C4
    rows = list(UsageEvent.objects.filter(account=used.id, occurred_at__gte=span.start, occurred_at__lt=span.end))
    sums = usage.usage_by_model(used.id, span)
    assert sum(s.requests for s in sums) == len(rows)
    assert sum(s.input_tokens for s in sums) == sum(row.input_tokens for row in rows)
    assert sum(s.credits for s in sums) == sum(row.credits for row in rows)


@pytest.mark.django_db
def test_balance_adds_up(used: User) -> None:  # C1
    with usage.current_balance(used.id, NOW) as b:
        assert b.total - b.plan_used == b.plan_left
        assert b.used + b.elsewhere == b.plan_used + b.additional_used + b.courtesy_used + b.debt
        span = Span(b.starts_at, b.ends_at)
        assert sum(s.credits for s in usage.usage_by_model(used.id, span)) == b.used
