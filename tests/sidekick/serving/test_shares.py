"""Half of the threads that serve pages wait for the same thing; the others are told at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from pytest_django import Settings

from sidekick.serving import shares
from sidekick.serving.shares import Share


@pytest.fixture
def pages() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(6, initializer=shares.enter_thread) as threads:
        yield threads


def test_half_of_the_threads_wait_and_the_rest_are_turned_away(pages: ThreadPoolExecutor, settings: Settings) -> None:
    settings.WEB_THREADS = 6  # O6
    share, all_asked = Share(one_in=2), Barrier(6)

    def wait() -> bool:
        with share.place() as taken:
            all_asked.wait(20)
            return taken

    asked = [pages.submit(wait) for _ in range(6)]
    assert sorted(found.result() for found in asked) == [False] * 3 + [True] * 3
    assert share.inside == 0


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_place_is_free_again_whatever_is_raised(
    pages: ThreadPoolExecutor, settings: Settings, error: type[BaseException]
) -> None:  # O6
    settings.WEB_THREADS = 1
    share = Share(one_in=2)

    def fail() -> None:
        with share.place() as taken:
            assert taken
            raise error

    for _ in range(3):
        assert isinstance(pages.submit(fail).exception(), error)


def test_jobs_and_commands_always_find_a_place(settings: Settings) -> None:  # O6
    settings.WEB_THREADS = 1
    share = Share(one_in=2)
    with share.place() as first, share.place() as second:
        assert first
        assert second
