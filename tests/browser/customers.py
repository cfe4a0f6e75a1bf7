"""Customers whose pages are worth looking at: an ordinary one, a new one, one of huge numbers, one in debt."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from credits import ledger, metering, periods
from credits.models import AIModel, Grant, ModelPrice, Plan
from sidekick.accounts.models import User
from tests.conftest import make_user

LONG_MODEL = "an-experimental-model-with-a-name-as-long-as-the-price-book-takes-" + "0123456789" * 3
DAY = timedelta(days=1)
MODELS = {"claude-sonnet-4-5": 5, "claude-haiku-4-5": 4, "gpt-5": 2, "gpt-5-mini": 3, "gemini-2.5-pro": 1}


def requests(user: User, count: int, *, start: datetime, end: datetime, seed: int = 7) -> Iterator[metering.Event]:
    """Ordinary requests, spread evenly over [start, end), oldest first."""
    dice = random.Random(seed)
    for number in range(count):
        moment = start + (end - start) * number / count
        yield {
            "request_id": f"req_{int(moment.timestamp() * 1000):012x}{number:06d}",
            "account": str(user.id),
            "model": dice.choices(list(MODELS), list(MODELS.values()))[0],
            "occurred_at": moment,
            "input_tokens": int(dice.lognormvariate(7.3, 1)),
            "output_tokens": int(dice.lognormvariate(5.7, 0.8)),
            "cache_read_tokens": dice.choice([0, 0, 12_000]),
            "cache_write_tokens": dice.choice([0, 0, 0, 3_000]),
        }


def record(events: list[metering.Event]) -> None:
    receipt = metering.record(events, max_age=timedelta.max)
    assert receipt.accepted == len(events), receipt


def ordinary(now: datetime) -> User:
    """Pro in its second month: something rolled over, something bought, a dozen pages of requests."""
    user = make_user("petra@example.com", name="Petra", time_zone="Europe/Berlin", date_joined=now - 50 * DAY)
    pro = Plan.objects.get(slug="pro")
    for number, start in enumerate((now - 45 * DAY, now - 14 * DAY)):
        periods.open_paid(user.id, plan=pro, starts_at=start, ends_at=start + 31 * DAY, source_key=f"pay:{number}")
        record(list(requests(user, 240, start=start, end=min(start + 30 * DAY, now), seed=number)))
    ledger.grant(user.id, Decimal(150), kind=Grant.Kind.PURCHASED, source_key="buy")
    return user


def newcomer(now: datetime) -> User:
    return make_user("nora@example.com", date_joined=now)


def wealthy(now: datetime) -> User:
    """Numbers as large as they can get, on a model with a name as long as it can get."""
    email = "a.very.long.address.of.somebody.with.patience@subdomain.of.a.long.example.com"
    user = make_user(email, name="W", date_joined=now - 40 * DAY)
    pro = Plan.objects.get(slug="pro")
    periods.open_paid(user.id, plan=pro, starts_at=now - 9 * DAY, ends_at=now + 20 * DAY, source_key="pay")
    ledger.grant(user.id, Decimal("987654321.123456"), kind=Grant.Kind.PURCHASED, source_key="buy")
    price = ModelPrice(model=AIModel.objects.create(name=LONG_MODEL), valid_from=datetime(2020, 1, 1, tzinfo=UTC))
    price.input, price.output, price.cache_read, price.cache_write = map(Decimal, (300, 1500, 30, 375))
    price.save()
    record(enormous(user, now, [LONG_MODEL, "claude-opus-4-1"], 14))
    return user


def debtor(now: datetime) -> User:
    """Free, and one enormous request came in after the credits were gone."""
    user = make_user("david@example.com", date_joined=now - 3 * DAY)
    record(enormous(user, now, ["claude-opus-4-1"], 1))
    return user


def enormous(user: User, now: datetime, models: list[str], count: int) -> list[metering.Event]:
    return [
        {
            "request_id": f"{'x' * 120}{number:08d}",
            "account": str(user.id),
            "model": models[number % len(models)],
            "occurred_at": now - timedelta(hours=number + 1),
            "input_tokens": 2_000_000_000,
            "output_tokens": 2_000_000_000,
            "cache_read_tokens": 2_000_000_000,
            "cache_write_tokens": 2_000_000_000,
        }
        for number in range(count)
    ]
