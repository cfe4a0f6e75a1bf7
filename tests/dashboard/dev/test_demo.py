"""The demo accounts: made once, the same everywhere, and as good as real ones."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.models import Count, Sum
from django.test import Client

from credits.models import CreditPeriod, UsageEvent
from credits.reports.balance import Balance, current_balance
from dashboard.dev import demo
from sidekick.accounts.models import User
from tests.credits.books import assert_books_balance

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 15, 20, 7, tzinfo=UTC)


@pytest.fixture
def said() -> list[str]:
    made: list[str] = []
    demo.make_accounts(NOW, made.append)
    return made


def balance_of(email: str) -> Balance:
    with current_balance(User.objects.get(email=email).id, NOW) as balance:
        return balance


def requests() -> list[tuple[object, ...]]:
    emails = dict(User.objects.values_list("id", "email"))
    rows = UsageEvent.objects.order_by("account", "request_id").values_list(
        "account", "request_id", "occurred_at", "model__name", "input_tokens", "output_tokens", "credits"
    )
    return sorted((emails[account], *rest) for account, *rest in rows)


def test_four_accounts_are_made_and_can_sign_in(said: list[str], client: Client) -> None:  # S1
    assert [line.split(":")[0] for line in said] == [
        "operator@example.com", "free@example.com", "starter@example.com", "pro@example.com",
    ]  # fmt: skip
    for email in [persona.email for persona in demo.PERSONAS]:
        response = client.post("/accounts/login/", {"login": email, "password": "sidekick-demo"})
        assert (response.status_code, response.headers["Location"]) == (302, "/dashboard/credits")
    assert User.objects.get(email="operator@example.com").is_staff
    assert_books_balance()


def test_what_exists_is_left_alone(said: list[str]) -> None:  # S1
    before = requests()
    again: list[str] = []
    demo.make_accounts(NOW + timedelta(days=3), again.append)
    assert again == []
    assert requests() == before


def test_the_same_moment_makes_the_same_requests() -> None:
    made = []
    for _ in range(2):
        before = transaction.savepoint()
        demo.make_accounts(NOW, lambda line: None)
        made.append(requests())
        transaction.savepoint_rollback(before)
    assert made[0] == made[1]
    assert len(made[0]) > 1000


def test_they_are_believable(said: list[str]) -> None:
    plans = {persona.email: persona.plan for persona in demo.PERSONAS}
    for email, plan in plans.items():
        balance = balance_of(email)
        assert balance.plan == plan
        assert balance.debt == 0
        assert balance.used > 0
        assert balance.starts_at <= NOW < balance.ends_at
        usage = UsageEvent.objects.filter(account=balance.account_id)
        newest = usage.order_by("-occurred_at").values_list("occurred_at", flat=True)[0]
        assert NOW - timedelta(days=2) < newest <= NOW
        assert usage.order_by("occurred_at").values_list("occurred_at", flat=True)[0] < NOW - timedelta(days=80)
        assert not usage.filter(credits=0).exists()
    pro, starter, free = (balance_of(f"{name}@example.com") for name in ("pro", "starter", "free"))
    models = UsageEvent.objects.filter(account=pro.account_id).values("model").annotate(requests=Count("request_id"))
    assert len(models) == 6
    assert (pro.bought, starter.bought, free.bought) == (Decimal(550), 0, 0)
    assert starter.rollover > 0
    assert free.rollover == 0
    spent = CreditPeriod.objects.filter(account=pro.account_id).aggregate(total=Sum("additional_used"))["total"]
    assert 0 < spent < 550
    days = UsageEvent.objects.filter(account=pro.account_id).dates("occurred_at", "day")
    assert len(days) > 80


def test_the_command_makes_them(capsys: pytest.CaptureFixture[str]) -> None:  # S1
    out = io.StringIO()
    call_command("demo", stdout=out)
    assert "pro@example.com" in out.getvalue()
    call_command("audit_credits", stdout=out)


@pytest.mark.parametrize("command", ["demo", "serve"])
def test_production_has_no_demo(command: str, settings: object) -> None:  # S1
    settings.PRODUCTION = True  # type: ignore[attr-defined]
    with pytest.raises(CommandError, match="production"):
        call_command(command)
    assert not User.objects.exists()
