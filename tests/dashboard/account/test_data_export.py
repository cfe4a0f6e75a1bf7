"""The file of everything about an account, apart from the page that offers it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from credits.usage import recording
from dashboard.account import data_export, data_sections
from sidekick.accounts.models import User
from tests.credits.books import at_once, event


@pytest.mark.django_db(transaction=True)
def test_the_file_is_as_of_one_moment(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:  # A10
    """A request that is recorded while the file is written is in no section of it."""
    record(alice, "before")
    sections = data_sections._of_credits

    def record_meanwhile(account: User) -> Iterator[tuple[str, Any]]:
        at_once([lambda: record(alice, "meanwhile")])
        return sections(account)

    monkeypatch.setattr(data_sections, "_of_credits", record_meanwhile)
    assert requests_of(alice) == ["before"]
    monkeypatch.undo()
    assert requests_of(alice) == ["before", "meanwhile"]


def record(account: User, request_id: str) -> None:
    assert recording.record([event(account, request_id, occurred_at=datetime.now(UTC))]).accepted == 1


def requests_of(account: User) -> list[str]:
    with data_export.write(account) as file:
        return [row["request_id"] for row in json.load(file)["requests"]]
