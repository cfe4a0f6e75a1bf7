"""Sums and pages agree with the rows themselves, whatever the span."""

from __future__ import annotations

from datetime import timedelta

import pytest

from credits.models import UsageEvent
from credits.reports import usage
from credits.reports.spans import Span
from sidekick.accounts.models import User
from tests.credits.books import NOW
from tests.credits.reports.conftest import MODELS

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
