"""The figures of a balance agree with each other and with the rows."""

from __future__ import annotations

import pytest

from credits.reports import usage
from credits.reports.balance import current_balance
from credits.reports.spans import Span
from sidekick.accounts.models import User
from tests.credits.books import NOW


@pytest.mark.django_db
def test_balance_adds_up(used: User) -> None:  # C1
    with current_balance(used.id, NOW) as b:
        assert b.total - b.plan_used == b.plan_left
        assert b.used + b.elsewhere == b.plan_used + b.additional_used + b.courtesy_used + b.debt
        span = Span(b.starts_at, b.ends_at)
        assert sum(s.credits for s in usage.usage_by_model(used.id, span)) == b.used
