"""Browsers of an author and a stranger, and reports as customers send them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client

from sidekick.accounts.models import User
from tests.conftest import make_user

SignIn = Callable[[Client, User], None]
NOW = datetime(2026, 5, 3, 10, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=True) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def _attempts_are_forgotten(db: None) -> None:
    cache.clear()


@pytest.fixture
def other(charlie: User, sign_in: SignIn) -> Client:
    """The stranger's browser."""
    stranger = Client()
    sign_in(stranger, charlie)
    return stranger


@pytest.fixture
def olga(db: None) -> User:
    return make_user("olga@example.com", name="Olga", is_staff=True, is_superuser=True)


@pytest.fixture
def backoffice(olga: User, sign_in: SignIn) -> Client:
    """The operator's browser."""
    operator = Client()
    sign_in(operator, olga)
    return operator
