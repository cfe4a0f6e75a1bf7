"""The moment at which pages of credits are looked at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import time_machine
from django.core.cache import cache

from credits.reports import alerts
from tests.credits.books import NOW


@pytest.fixture(autouse=True)
def _levels_of_low_balance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fixed for tests, so that a change of the product's levels breaks only the test that states them."""
    monkeypatch.setattr(alerts, "LEVELS", (0, 5, 20))


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    cache.clear()
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller
