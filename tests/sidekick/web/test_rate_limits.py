from __future__ import annotations

import pytest
from django.core.cache import cache
from django.http import HttpRequest
from django.test import RequestFactory
from pytest_django import Settings

from sidekick.accounts.models import User
from sidekick.web import rate_limits

pytestmark = pytest.mark.django_db
LIMIT = 10  # settings.ACCOUNT_RATE_LIMITS["checkout"], a minute and account


@pytest.fixture(autouse=True)
def _nothing_is_counted_yet() -> None:
    cache.clear()


def asked(method: str, user: User) -> HttpRequest:
    request = RequestFactory().generic(method, "/")
    request.user = user
    return request


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_limit_counts_every_request_of_an_account(method: str) -> None:
    alice, charlie = User(email="alice@example.com"), User(email="charlie@example.com")
    assert [rate_limits.allow(asked(method, alice), "checkout") for _ in range(LIMIT)] == [True] * LIMIT
    assert not rate_limits.allow(asked(method, alice), "checkout")
    assert rate_limits.allow(asked(method, charlie), "checkout")


def test_a_key_has_a_limit_of_its_own() -> None:
    nobody = User()
    allowed = [rate_limits.allow(asked("POST", nobody), "api_token", key="alice@example.com") for _ in range(11)]
    assert allowed == [True] * 10 + [False]
    assert rate_limits.allow(asked("POST", nobody), "api_token", key="charlie@example.com")


def test_false_switches_all_limits_off(settings: Settings) -> None:
    settings.ACCOUNT_RATE_LIMITS = False
    alice = User(email="alice@example.com")
    assert all(rate_limits.allow(asked("POST", alice), "checkout") for _ in range(LIMIT + 1))


def test_a_name_without_a_limit_is_an_error() -> None:
    with pytest.raises(KeyError):
        rate_limits.allow(asked("POST", User()), "chekout")
