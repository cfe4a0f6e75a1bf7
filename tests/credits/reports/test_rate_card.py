"""One credit buys tokens and requests by the price book of now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pytest_django import DjangoAssertNumQueries

from credits.models import AIModel, ModelPrice
from credits.reports.rate_card import CreditBuys, what_a_credit_buys

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


def test_a_credit_buys_by_the_prices_of_now(django_assert_num_queries: DjangoAssertNumQueries) -> None:  # M1 N6
    free = AIModel.objects.create(name="free-model")
    ModelPrice.objects.create(model=free, valid_from=NOW, input=0, output=0, cache_read=0, cache_write=0)
    dearer = {"input": 40, "output": 200, "cache_read": 4, "cache_write": 50}
    haiku = AIModel.objects.get(name="claude-haiku-4-5")
    ModelPrice.objects.create(model=haiku, valid_from=NOW + timedelta(seconds=1), **dearer)
    with django_assert_num_queries(1):
        lines = what_a_credit_buys(NOW)
    cheapest = ["gpt-5-mini", "claude-haiku-4-5", "gemini-2.5-pro", "gpt-5", "claude-sonnet-4-5", "claude-opus-4-1"]
    assert [line.model for line in lines] == ["free-model", *cheapest]
    assert lines[0] == CreditBuys("free-model", None, None, None)
    # 20 and 100 credits a million tokens: 1,000 in and 300 out cost 0.05.
    assert lines[2] == CreditBuys("claude-haiku-4-5", 50_000, 10_000, Decimal(20))
    # 60 and 300: a request costs 0.15; what is left after the sixth is not shown as more than it is.
    assert lines[5] == CreditBuys("claude-sonnet-4-5", 16_666, 3_333, Decimal("6.6"))
    later = {line.model: line for line in what_a_credit_buys(NOW + timedelta(seconds=1))}
    assert later["claude-haiku-4-5"] == CreditBuys("claude-haiku-4-5", 25_000, 5_000, Decimal(10))


def test_a_model_too_dear_for_a_tenth_of_a_request_is_no_free_one() -> None:  # M1 N6
    dear = AIModel.objects.create(name="dear-model")
    ModelPrice.objects.create(model=dear, valid_from=NOW, input=9000, output=9000, cache_read=0, cache_write=0)
    assert what_a_credit_buys(NOW)[-1] == CreditBuys("dear-model", 111, 111, Decimal("0.0"))
