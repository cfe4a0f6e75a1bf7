"""Accounts by email or id."""

from __future__ import annotations

import pytest

from sidekick.accounts.models import User
from tests.credits.usage.conftest import ForFile
from tests.credits.usage.imports import load_with_bad_lines

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("older")]
AT = "2026-11-22T10:00:00Z"
HEADER = "request_id,occurred_at,model,input_tokens,output_tokens,cache_read_tokens,cache_write_tokens\n"


def test_an_account_is_named_by_email_or_id(alice: User, charlie: User, file: ForFile) -> None:  # M10
    header = HEADER.replace("\n", ",account\n")
    people = [alice.email.upper(), f" {charlie.id} ", str(charlie.id).upper(), "nobody@example.com", "", "x"]
    rows = [f"r{n},{AT},gpt-5,10,5,0,0,{who}\n" for n, who in enumerate(people)]
    said, bad = load_with_bad_lines(file("usage.csv", header + "".join(rows)))
    assert said == "3 added, 0 known already, 3 bad lines."
    assert bad == [
        "line 5: unknown_account: There is no account 'nobody@example.com'.",
        "line 6: no account",
        "line 7: unknown_account: There is no account 'x'.",
    ]
