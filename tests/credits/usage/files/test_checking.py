"""History from before sign-up waits for an answer, before anything is loaded."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pytest

from credits.models import UsageEvent
from sidekick.accounts.models import User
from tests.credits.books import assert_books_balance, debt
from tests.credits.usage.conftest import ForFile
from tests.credits.usage.imports import load, load_with_bad_lines, refused

pytestmark = pytest.mark.django_db
JOINED = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)  # As tests.conftest makes accounts.


def history(*moments: str, tokens: int = 10_000_000) -> str:
    rows = "".join(f"{at},gpt-5,{tokens},0\n" for at in moments)
    return f"occurred_at,model,input_tokens,output_tokens\n{rows}"


EARLY = history("2026-01-31T09:29:59Z", "2026-01-31T09:30:00Z", "2025-12-01T00:00:00Z")


def test_history_from_before_sign_up_waits_for_an_answer(alice: User, file: ForFile) -> None:  # M10
    reason = refused(file("usage.csv", EARLY), "--account", alice.email)
    assert reason.startswith("Nothing was loaded. 2 lines are from before the account signed up:")
    assert "alice@example.com signed up at 2026-01-31 09:30 UTC: lines 2, 4" in reason
    assert "--before-sign-up=skip" in reason
    assert "--before-sign-up=charge" in reason


def test_skipped_history_is_counted_and_never_loaded(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", EARLY)
    for accepted, known in ((1, 0), (0, 1)):
        said, _ = load(path, "--account", alice.email, "--before-sign-up", "skip")
        assert said == (f"{accepted} added, {known} known already, 0 bad lines, 2 left out as from before sign-up.")
    assert set(UsageEvent.objects.values_list("occurred_at", flat=True)) == {JOINED}
    assert_books_balance()


def test_charged_history_takes_what_is_there_now(alice: User, file: ForFile) -> None:  # M10 M5
    path = file("usage.csv", EARLY)
    load(path, "--account", alice.email, "--before-sign-up", "skip")
    before = debt(alice)
    assert load(path, "--account", alice.email, "--before-sign-up", "charge")[0].startswith("2 added, 1 known already")
    assert load(path, "--account", alice.email, "--before-sign-up", "charge")[0].startswith("0 added, 3 known already")
    assert debt(alice) - before == 500
    assert_books_balance()


@pytest.mark.parametrize(("answer", "added"), [("skip", "1 added"), ("charge", "3 added"), ("", None), ("yes", None)])
def test_a_terminal_is_asked(
    alice: User, file: ForFile, monkeypatch: pytest.MonkeyPatch, answer: str, added: str | None
) -> None:  # M10
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    path = file("usage.csv", EARLY)
    if added:
        said, asked = load(path, "--account", alice.email)
        assert said.startswith(added)
        assert "2 lines are from before" in asked
    else:
        assert refused(path, "--account", alice.email) == "Nothing was loaded."


def test_nobody_is_asked_about_lines_that_are_bad_anyway(alice: User, file: ForFile) -> None:
    path = file("usage.csv", history("1999-12-31T00:00:00Z", "2026-02-01T00:00:00Z"))
    assert load_with_bad_lines(path, "--account", alice.email)[0] == "1 added, 0 known already, 1 bad lines."
