"""One arithmetic of pauses for all queues."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sidekick.retries import pause_after


@pytest.mark.parametrize(
    ("attempts", "minutes"), [(0, 1), (1, 1), (2, 2), (3, 4), (11, 1024), (12, 1024), (32_767, 1024)]
)
def test_pauses_double_up_to_the_longest(attempts: int, minutes: int) -> None:
    assert pause_after(attempts) == timedelta(minutes=minutes)


def test_a_queue_may_choose_its_own_pauses() -> None:
    first, most = timedelta(seconds=10), timedelta(seconds=35)
    assert [pause_after(attempts, first=first, most=most).seconds for attempts in (1, 2, 3)] == [10, 20, 30]
