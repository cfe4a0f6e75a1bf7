"""Lines that equal others are named, with what can be done about them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from credits.usage.files.parsing import lines
from sidekick.accounts.models import User
from tests.credits.usage.conftest import ForFile
from tests.credits.usage.imports import load, refused, used

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("older")]


def history(*moments: str) -> str:
    rows = "".join(f"{at},gpt-5,100,0\n" for at in moments)
    return f"occurred_at,model,input_tokens,output_tokens\n{rows}"


FIRST = history("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")
SECOND = history("2026-03-03T00:00:00Z", "2026-03-01T00:00:00Z", "2026-03-04T00:00:00Z")


def test_a_line_that_equals_one_of_another_file_is_named(alice: User, file: ForFile) -> None:  # M10
    arguments = ("--account", alice.email)
    assert load(file("first.csv", FIRST), *arguments) == ("2 added, 0 known already, 0 bad lines.", "")
    said, warned = load(path := file("second.csv", SECOND), *arguments)
    assert said == "2 added, 1 known already, 0 bad lines."
    assert "line 3." in warned
    assert "--only-lines 3 --file-id NAME" in warned
    # The remedy adds that line alone, and once.
    again = (*arguments, "--only-lines", "3", "--file-id", "second")
    assert load(path, *again) == ("1 added, 0 known already, 0 bad lines.", "")
    assert load(path, *again) == ("0 added, 1 known already, 0 bad lines.", "")
    said, warned = load(path, *arguments)
    assert said == "0 added, 3 known already, 0 bad lines."
    # The file was loaded before: a command that charges all of it again is not offered.
    assert "--only-lines" not in warned
    assert used() == Decimal("0.0125")


def test_the_same_usage_loaded_again_adds_nothing_and_says_why(alice: User, file: ForFile) -> None:  # M10
    load(file("first.csv", FIRST), "--account", alice.email)
    longer = file("longer.csv", FIRST + "2026-03-05T00:00:00Z,gpt-5,100,0\n")
    said, warned = load(longer, "--account", alice.email)
    assert said == "1 added, 2 known already, 0 bad lines."
    assert "lines 2-3." in warned


def test_equal_lines_keep_their_ids_whichever_are_chosen(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", history(*["2026-03-01T00:00:00Z"] * 3))
    arguments = ("--account", alice.email)
    assert load(path, *arguments, "--only-lines", "3")[0].startswith("1 added")
    assert load(path, *arguments)[0] == "2 added, 1 known already, 0 bad lines."
    for number in "234":
        alone = (*arguments, "--only-lines", number, "--file-id", "again")
        assert load(path, *alone) == ("1 added, 0 known already, 0 bad lines.", "")
    assert used() == 6 * Decimal("0.0025")


def test_lines_with_ids_are_never_called_equal(alice: User, file: ForFile) -> None:
    content = "request_id,occurred_at,model,input_tokens,output_tokens\na,2026-03-01,gpt-5,1,1\n"
    path = file("usage.csv", content)
    load(path, "--account", alice.email)
    assert load(path, "--account", alice.email) == ("0 added, 1 known already, 0 bad lines.", "")
    alone = ("--account", alice.email, "--only-lines", "2", "--file-id", "b")
    assert "without ids of their own" in refused(path, *alone)


def test_numbers_are_told_as_they_are_given() -> None:
    numbers = [2, 3, 4, 7, 9, 10]
    assert lines.join_numbers(numbers) == "2-4, 7, 9-10"
    assert [n for r in lines.parse_numbers("2-4, 7, 9-10") for n in r] == numbers
    assert lines.join_numbers(range(1, 100, 2), most=2) == "1, 3 and 48 more"
