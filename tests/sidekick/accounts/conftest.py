from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine as machine
from django.core.cache import cache

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _fresh_limits(db: None) -> None:
    """Start every test with nobody's attempts counted: the cache outlives a test that commits."""
    cache.clear()


@pytest.fixture
def pass_time() -> Iterator[Callable[..., datetime]]:
    """Stand still at noon; `pass_time(minutes=6)` moves on and returns the new time."""
    with machine.travel(NOON, tick=False) as clock:

        def move(**by: float) -> datetime:
            clock.shift(timedelta(**by))
            return datetime.now(UTC)

        yield move
