"""A Paddle that never answers keeps half of the page threads waiting, and nobody else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, suppress

import pytest
from pytest_django import Settings

from billing.paddle import api
from billing.paddle.errors import SENTENCES, PaddleFault
from sidekick.serving import shares
from sidekick.serving.shares import EXTERNAL_SERVICES

SUB = f"sub_01k{'a' * 23}"


@pytest.fixture
def silent(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A server that takes connections and says nothing, until it is closed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.PADDLE_API_URL = f"http://127.0.0.1:{server.getsockname()[1]}"
        settings.PADDLE_READ_SECONDS = settings.PADDLE_WRITE_SECONDS = 20
        settings.WEB_THREADS = 4
        monkeypatch.setattr("billing.paddle.client.PAUSES", ())
        yield server


def code_of_fault() -> str:
    with pytest.raises(PaddleFault) as caught:
        api.subscription(SUB)
    assert str(caught.value) == SENTENCES[caught.value.code]
    return caught.value.code


def test_half_of_the_pages_wait_and_the_rest_hear_so_at_once(silent: socket.socket) -> None:  # O6
    with ThreadPoolExecutor(8, initializer=shares.enter_thread) as pages, closing(silent):
        asked = [pages.submit(code_of_fault) for _ in range(8)]
        first = as_completed(asked, timeout=15)
        assert [next(first).result() for _ in range(6)] == ["not_asked"] * 6
        assert EXTERNAL_SERVICES.inside == 2
        # The two that wait are let go.
        for _ in range(2):
            silent.accept()[0].close()
        assert [found.result() for found in first] == ["unreachable"] * 2
    assert EXTERNAL_SERVICES.inside == 0


def test_a_job_waits_beside_as_many_pages(silent: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:  # O6
    monkeypatch.setattr(EXTERNAL_SERVICES, "inside", 2)
    with ThreadPoolExecutor(1) as jobs, suppress(OSError):
        asked = jobs.submit(code_of_fault)
        silent.accept()[0].close()
        assert asked.result(20) == "unreachable"
