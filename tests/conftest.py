"""Fixtures for every test. `alice` owns, `charlie` is the stranger."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from uuid import UUID

import pytest
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.test import Client
from pytest_django import DjangoDbBlocker

from sidekick import database
from sidekick.accounts.models import User
from tests import sent_sql

sent_sql.watch()

PASSWORD = "correct-horse-battery-staple"
JOINED = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
# Of nothing. Where it stands in a test's name it must be the same for every worker.
UNKNOWN_ID = UUID("5f0c2d7e-9b00-4000-8000-000000000000")


@pytest.fixture(autouse=True)
def _usage_is_asked_for_by_account() -> Iterator[None]:
    """Each test fails that makes our code ask for usage without saying whose."""
    sent_sql.refused.clear()
    yield
    assert not sent_sql.refused, "\n\n".join(sent_sql.refused)


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Start PostgreSQL, and name a database of this run's own, so that two runs beside each other don't meet."""
    database.start_embedded()
    connection.settings_dict["TEST"]["NAME"] = f"test_sidekick_{os.getpid()}"


@pytest.fixture(scope="session")
def migrated_rows(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> str:
    """The rows that migrations add. Django itself puts content types and permissions back after a flush."""
    with django_db_blocker.unblock():
        rows = json.loads(connection.creation.serialize_db_to_string())
    return json.dumps([row for row in rows if row["model"].split(".")[0] not in {"auth", "contenttypes"}])


@pytest.fixture(autouse=True)
def _plans_and_prices_survive_a_flush(request: pytest.FixtureRequest) -> None:
    """A transactional test truncates every table when it ends; the next one starts with the migrations' rows again.

    pytest-django's `serialized_rollback` loads them over those that are there before the first such test, and a
    price that exists may not be written again.
    """
    marker = request.node.get_closest_marker("django_db")
    flushes = marker is not None and marker.kwargs.get("transaction")
    if flushes or {"transactional_db", "live_server"} & set(request.fixturenames):
        rows = request.getfixturevalue("migrated_rows")
        request.getfixturevalue("transactional_db")
        from credits.models import Plan

        if not Plan.objects.exists():
            connection.creation.deserialize_db_from_string(rows)


@cache
def _hashed() -> str:
    """Argon2 is slow on purpose, and a thousand tests have users."""
    return make_password(PASSWORD)


def make_user(email: str, **extra: object) -> User:
    from allauth.account.models import EmailAddress

    user = User.objects.create_user(email, None, **{"date_joined": JOINED, **extra})
    User.objects.filter(pk=user.pk).update(password=_hashed())
    user.refresh_from_db()
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    return user


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice@example.com")


@pytest.fixture
def charlie(db: None) -> User:
    return make_user("charlie@example.com")


@pytest.fixture
def sign_in() -> Callable[[Client, User], None]:
    """Give a test client the cookies of a new device session, as the sign-in page does."""
    from sidekick.accounts import device_sessions, tokens

    def sign_in(client: Client, user: User) -> None:
        pair = device_sessions.start(user, ip="127.0.0.1", user_agent="tests")
        client.cookies[tokens.ACCESS_COOKIE] = pair.access
        client.cookies[tokens.REFRESH_COOKIE] = pair.refresh

    return sign_in


@pytest.fixture
def browser(client: Client, alice: User, sign_in: Callable[[Client, User], None]) -> Client:
    """Alice's, signed in."""
    sign_in(client, alice)
    return client
