from __future__ import annotations

from collections.abc import Iterator

import pytest

from billing.simulator.server import Server
from tests.billing.simulator.shop import Shop


@pytest.fixture
def shop() -> Shop:
    return Shop(pauses=(0.05, 0.1))


@pytest.fixture
def served(shop: Shop) -> Iterator[Server]:
    """The shop's world behind HTTP, with webhooks going out."""
    with Server(shop.world) as server:
        yield server
