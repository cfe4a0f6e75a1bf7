from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import time_machine
from django.test import Client
from pytest_django import Settings

from sidekick.accounts.models import User
from tests.billing import store as stores
from tests.billing.pages.reading import NOW
from tests.billing.store import Store

SignIn = Callable[[Client, User], None]


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=True) as traveller:
        yield traveller


@pytest.fixture
def store(settings: Settings, clock: time_machine.Traveller) -> Iterator[Store]:
    with stores.opened(settings) as opened:
        yield opened


@pytest.fixture
def other(charlie: User, sign_in: SignIn) -> Client:
    """The stranger's browser."""
    stranger = Client()
    sign_in(stranger, charlie)
    return stranger


@pytest.fixture
def pro(store: Store, alice: User) -> str:
    """Alice's subscription, at Paddle."""
    return store.subscribe(alice, "pro")
