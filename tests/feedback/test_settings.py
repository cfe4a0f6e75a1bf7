"""What the settings of forwarding refuse."""

from __future__ import annotations

import pytest

from tests.sidekick.test_settings import DEVELOPMENT, PRODUCTION, start

HOOK = {"FEEDBACK_WEBHOOK_URL": "https://hooks.example.com/r", "FEEDBACK_WEBHOOK_SECRET": "x" * 16}


@pytest.mark.parametrize(
    ("environment", "changed", "sentence"),
    [
        (PRODUCTION, {"FEEDBACK_WEBHOOK_SECRET": ""}, "set both or none"),
        (DEVELOPMENT, {"FEEDBACK_WEBHOOK_URL": ""}, "set both or none"),
        (PRODUCTION, {"FEEDBACK_WEBHOOK_URL": "http://hooks.example.com/r"}, "must start with https://"),
        (DEVELOPMENT, {"FEEDBACK_WEBHOOK_URL": "hooks.example.com"}, "starts with https://"),
        (PRODUCTION, {"FEEDBACK_WEBHOOK_SECRET": "x" * 15}, "under 16 characters"),
    ],
)
def test_half_a_webhook_or_an_unsafe_one_stops_the_start(
    environment: dict[str, str], changed: dict[str, str], sentence: str
) -> None:  # F6
    outcome = start(**{**environment, **HOOK, **changed})
    assert outcome.returncode != 0
    assert sentence in outcome.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("variables", [HOOK, {}], ids=["with", "without"])
def test_with_both_or_neither_it_starts(variables: dict[str, str]) -> None:  # F6
    outcome = start("FEEDBACK_WEBHOOK_URL", **{**PRODUCTION, **variables})
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.strip() == variables.get("FEEDBACK_WEBHOOK_URL", "")
