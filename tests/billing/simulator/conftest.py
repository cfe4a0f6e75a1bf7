from __future__ import annotations

from collections.abc import Iterator

import pytest
import time_machine

from billing.simulator.server import Server
from tests.billing.simulator.shop import STARTED, Shop


@pytest.fixture
def shop() -> Shop:
    return Shop(pauses=(0.05, 0.1))


@pytest.fixture
def served(shop: Shop) -> Iterator[Server]:
    """The shop's world behind HTTP, with webhooks going out."""
    with Server(shop.world) as server:
        yield server


@pytest.fixture
def january() -> Iterator[None]:
    with time_machine.travel(STARTED, tick=False):
        yield


@pytest.fixture
def running(shop: Shop, january: None) -> str:
    """A Starter subscription since the end of January."""
    return shop.subscribe()
