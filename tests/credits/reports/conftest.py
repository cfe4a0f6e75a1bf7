"""An account with much usage, for reports to sum."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from credits.usage import recording
from sidekick.accounts.models import User
from tests.credits.books import NOW, event

MODELS = ["claude-haiku-4-5", "gpt-5", "gpt-5-mini"]


@pytest.fixture
def used(alice: User) -> User:
    """400 requests over five days, in bursts that share quarters and even moments, and long gaps."""
    dice = random.Random(7)
    starts = [NOW - timedelta(days=5) * dice.random() for _ in range(40)]
    events = [
        event(
            alice,
            f"req_{number:04d}",
            occurred_at=dice.choice(starts) + timedelta(seconds=dice.randrange(400)),
            model=dice.choices(MODELS, [50, 10, 1])[0],
            input_tokens=dice.randrange(100_000),
        )
        for number in range(400)
    ]
    recording.record(events, now=NOW)
    return alice
