"""Demo accounts: ninety days of believable usage and payments, made through the same code as real ones.

The same seed and end give the same requests, so that two developers see the same pages.
"""

from __future__ import annotations

import heapq
import http.client
import json
import math
import random
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from allauth.account.models import EmailAddress
from dateutil.relativedelta import relativedelta
from django.conf import settings

from billing.models import PlanPrice
from billing.paddle import inbox
from credits import emails as credits_emails
from credits.ledger import grants, periods
from credits.models import Grant, Plan
from credits.usage import recording
from credits.usage.schemas import Event
from dashboard.dev import demo_feedback
from sidekick.accounts import emails
from sidekick.accounts.models import User

PASSWORD = "sidekick-demo"  # noqa: S105 (known to everyone on purpose; no image holds it)
OPERATOR = "operator@example.com"
DAYS = 90
SEED = 20261122
DAY = timedelta(days=1)
Step = tuple[datetime, Callable[[], int]]


@dataclass(frozen=True, slots=True)
class Persona:
    """How one demo customer uses Sidekick.

    `share` is roughly the part of the plan's credits that a month uses. `bought` holds pairs: days ago, credits.
    """

    email: str
    name: str
    plan: str
    share: float
    models: dict[str, float]
    bought: tuple[tuple[int, int], ...] = ()


PERSONAS = (
    Persona("free@example.com", "Frida Free", "free", 0.8, {"gpt-5-mini": 6, "claude-haiku-4-5": 3, "gpt-5": 1}),
    Persona(
        "starter@example.com",
        "Stan Starter",
        "starter",
        0.75,
        {"claude-haiku-4-5": 5, "claude-sonnet-4-5": 3, "gpt-5-mini": 3, "gemini-2.5-pro": 2, "gpt-5": 1},
    ),
    Persona(
        "pro@example.com",
        "Petra Pro",
        "pro",
        1.37,
        {
            "claude-sonnet-4-5": 9,
            "claude-haiku-4-5": 4,
            "gpt-5": 3,
            "gemini-2.5-pro": 2,
            "gpt-5-mini": 2,
            "claude-opus-4-1": 0.6,
        },
        bought=((85, 300), (12, 250)),
    ),
)


def make_accounts(now: datetime, report: Callable[[str], None]) -> None:
    """Make the demo accounts that are missing. An account that exists is left as it is."""
    operator = User.objects.filter(email=OPERATOR).first()
    if operator is None:
        operator = User.objects.create_superuser(OPERATOR, PASSWORD, name="Olga Operator")
        EmailAddress.objects.create(user=operator, email=OPERATOR, verified=True, primary=True)
        report(f"{OPERATOR}: operator")
    for persona in PERSONAS:
        if not User.objects.filter(email=persona.email).exists():
            report(f"{persona.email}: {_make(persona, now):,} requests")
        with emails.kept_back():
            demo_feedback.make_reports(User.objects.get(email=persona.email), operator, now)


def _make(persona: Persona, now: datetime) -> int:
    joined = (now - DAY * DAYS).replace(hour=8, minute=41, second=17, microsecond=0)
    user = User.objects.create_user(persona.email, PASSWORD, name=persona.name, date_joined=joined)
    EmailAddress.objects.create(user=user, email=persona.email, verified=True, primary=True)
    dice = random.Random(f"{SEED}:{persona.email}")  # noqa: S311
    plan = Plan.objects.get(slug=persona.plan)
    started = joined + timedelta(hours=1)
    steps: list[Iterator[Step]] = [_payments(persona, plan, user, started, now)]
    for start, end in _months(started, now):
        batches = _batches(_requests(persona, plan, user, dice, start, end, now))
        steps.append((batch[-1]["occurred_at"], partial(_record, batch)) for batch in batches)
    requests = sum(step() for _, step in heapq.merge(*steps, key=lambda step: step[0]))
    credits_emails.unmark(user.id)
    return requests


def _record(batch: list[Event]) -> int:
    return recording.record(batch, max_age=timedelta.max, now=batch[-1]["occurred_at"]).accepted


def _payments(persona: Persona, plan: Plan, user: User, started: datetime, now: datetime) -> Iterator[Step]:
    """Steps of payments, in order. Without a simulator they go straight into the ledger."""
    told = _told_by_simulator(persona, user, started, now) if persona.plan != Plan.FREE else []
    if told is None:
        yield from _granted(persona, plan, user, started, now)
        return
    for event in told:
        occurred_at = datetime.fromisoformat(event["occurred_at"])
        yield occurred_at, partial(_take, event, occurred_at)


def _take(event: dict[str, Any], occurred_at: datetime) -> int:
    inbox.receive(json.dumps(event).encode(), now=occurred_at)
    return 0


def _granted(persona: Persona, plan: Plan, user: User, started: datetime, now: datetime) -> Iterator[Step]:
    steps = [(start, partial(_open, user, plan, start, end)) for start, end in _months(started, now)]
    steps += [(now - DAY * days, partial(_buy, user, days, credits, now)) for days, credits in persona.bought]
    yield from sorted(steps, key=lambda step: step[0])


def _open(user: User, plan: Plan, start: datetime, end: datetime) -> int:
    key = f"demo:{start.date()}"
    periods.open_paid(user.id, plan=plan, starts_at=start, ends_at=end, source_key=key, now=start)
    return 0


def _buy(user: User, days: int, credits: int, now: datetime) -> int:
    at, key = now - DAY * days, f"demo:{days} days"
    grants.grant(user.id, Decimal(credits), kind=Grant.Kind.PURCHASED, source_key=key, now=at)
    return 0


def _told_by_simulator(persona: Persona, user: User, started: datetime, now: datetime) -> list[dict[str, Any]] | None:
    """Make the simulator live through this persona's past. Returns Paddle's events, oldest first.

    Returns None where no simulator runs that knows our prices.
    """
    price = PlanPrice.objects.per_month().get(plan_id=persona.plan)
    credit = PlanPrice.objects.per_credit().first()
    if not settings.PADDLE_SIMULATED or not price.paddle_price_id or not credit:
        return None
    ours = {"account_id": str(user.id)}
    past = {
        "customer": {"email": user.email, "name": user.name, "custom_data": ours},
        "price_id": price.paddle_price_id,
        "started_at": started.isoformat(),
        "custom_data": {**ours, "kind": "plan"},
        "purchases": [
            {
                "at": (now - DAY * days).isoformat(),
                "price_id": credit.paddle_price_id,
                "quantity": credits,
                "custom_data": {**ours, "kind": "credits"},
            }
            for days, credits in persona.bought
        ],
    }
    request = urllib.request.Request(  # noqa: S310 (the settings allow an address of this machine only)
        f"{settings.PADDLE_API_URL}/simulator/history",
        json.dumps(past).encode(),
        {"Authorization": f"Bearer {settings.PADDLE_API_KEY}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            told: list[dict[str, Any]] = json.load(answer)["data"]["events"]
            return told
    except (OSError, http.client.HTTPException):
        return None


def _months(start: datetime, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    number = 0
    while (begins := start + relativedelta(months=number)) <= now:
        number += 1
        yield begins, start + relativedelta(months=number)


def _batches(events: Iterator[Event]) -> Iterator[list[Event]]:
    """Requests as a backend would send them: in order, up to 500 of the same six hours."""
    batch: list[Event] = []
    for event in events:
        if batch and (len(batch) == 500 or event["occurred_at"] - batch[0]["occurred_at"] > timedelta(hours=6)):
            yield batch
            batch = []
        batch.append(event)
    if batch:
        yield batch


# Average credits of one request, roughly: a persona's month should use about its share of the plan.
TYPICAL_COST = {
    "gpt-5-mini": 0.045,
    "gpt-5": 0.2,
    "claude-haiku-4-5": 0.12,
    "claude-sonnet-4-5": 0.36,
    "gemini-2.5-pro": 0.21,
    "claude-opus-4-1": 1.8,
}


def _requests(
    persona: Persona, plan: Plan, user: User, dice: random.Random, start: datetime, end: datetime, now: datetime
) -> Iterator[Event]:
    names, weights = list(persona.models), list(persona.models.values())
    average = sum(TYPICAL_COST[n] * w for n, w in persona.models.items()) / sum(weights)
    monthly = float(plan.monthly_credits) * persona.share / average
    hour = start.replace(minute=0, second=0)
    while hour < min(end, now):
        wanted = monthly / 30 / 24 * _busyness(hour) * dice.uniform(0.3, 1.7)
        count = int(wanted) + (dice.random() < wanted % 1)
        moments = sorted(hour + timedelta(microseconds=dice.randrange(3_600_000_000)) for _ in range(count))
        for moment in moments:
            if start <= moment < min(end, now):
                yield _request(user, dice, moment, dice.choices(names, weights)[0])
        hour += timedelta(hours=1)


def _busyness(hour: datetime) -> float:
    """The weight of an hour, 1 on average: people work by day, and less at weekends."""
    daily = 1 + 0.95 * math.sin((hour.hour - 8) / 24 * 2 * math.pi)
    return daily * (0.35 if hour.weekday() >= 5 else 1.26)


def _request(user: User, dice: random.Random, moment: datetime, model: str) -> Event:
    """One request: mostly a short question, now and then a long document, a third of them with a cached context."""
    context = min(int(dice.lognormvariate(7.3, 1.0)), 150_000)
    cached = context * 4 if dice.random() < 0.35 else 0
    return {
        "request_id": f"req_{int(moment.timestamp() * 1000):012x}{dice.getrandbits(64):016x}",
        "account": str(user.id),
        "model": model,
        "occurred_at": moment,
        "input_tokens": context,
        "output_tokens": min(int(dice.lognormvariate(5.7, 0.8)), 16_000),
        "cache_read_tokens": cached,
        "cache_write_tokens": context // 2 if cached and dice.random() < 0.4 else 0,
    }
