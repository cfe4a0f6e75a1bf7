"""The log of a Codex session, with the lines around its requests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from credits.models import UsageEvent
from sidekick.accounts.models import User
from tests.credits.usage.conftest import ForFile
from tests.credits.usage.imports import load, load_with_bad_lines, tokens

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("older")]
ACCOUNT = ("--account", "alice@example.com")


def codex(kind: str, at: str, **payload: Any) -> str:
    return json.dumps({"timestamp": f"2026-11-22T09:00:{at}Z", "type": kind, "payload": payload})


def count(at: str, total: int, last: int | None, **info: Any) -> str:
    def usage(tokens: int) -> dict[str, int]:
        return {"input_tokens": tokens, "cached_input_tokens": tokens // 2, "output_tokens": 5 * (tokens // 1000),
                "reasoning_output_tokens": 2, "total_tokens": tokens + 5}  # fmt: skip

    figures = {"total_token_usage": usage(total)} | ({"last_token_usage": usage(last)} if last else {})
    return codex("event_msg", at, type="token_count", info={**figures, "model_context_window": 272_000, **info})


def test_codex(alice: User, file: ForFile) -> None:  # M10
    session = [
        codex("session_meta", "00", id="s", cwd="/"),
        codex("turn_context", "01", model="gpt-5", effort="high"),
        codex("event_msg", "02", type="token_count", info=None, rate_limits={}),
        count("03", 1000, 1000),
        # Only the limits changed.
        count("04", 1000, 1000),
        codex("response_item", "05", type="message", role="user"),
        codex("turn_context", "06", model="gpt-5-mini"),
        count("07", 3000, 2000),
        # Older logs have totals alone.
        count("08", 6000, None),
        count("09", 1000, None),
        "{",
    ]
    path = file("rollout-2026-11-22.jsonl", "\n".join(session))
    said, bad = load_with_bad_lines(path, *ACCOUNT, "--format", "codex")
    assert said == "3 added, 0 known already, 2 bad lines, 6 without a request."
    assert [text.split(":")[0] for text in bad] == ["line 10", "line 11"]
    assert tokens() == [(500, 5, 500, 0), (1000, 10, 1000, 0), (1500, 15, 1500, 0)]
    models = UsageEvent.objects.order_by("occurred_at").values_list("model__name", flat=True)
    assert list(models) == ["gpt-5", "gpt-5-mini", "gpt-5-mini"]
    path.write_text("\n".join([*session[:-2], count("10", 7000, 1000)]))
    assert load(path, *ACCOUNT, "--format", "codex")[0].startswith("1 added, 3 known already")
