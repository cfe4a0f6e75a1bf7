"""The form of a file, by its name and its content."""

from __future__ import annotations

import json

import pytest

from credits.usage.files.presets import PRESETS
from sidekick.accounts.models import User
from tests.credits.usage.conftest import ForFile
from tests.credits.usage.imports import load, refused

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("older")]
ACCOUNT = ("--account", "alice@example.com")
ROW = {"occurred_at": "2026-11-22T09:00:00Z", "model": "gpt-5", "input_tokens": 1, "output_tokens": 2}
FORMS = {
    ".csv": ",".join(ROW) + "\n" + ",".join(map(str, ROW.values())) + "\n",
    ".tsv": "\t".join(ROW) + "\n" + "\t".join(map(str, ROW.values())) + "\n",
    ".jsonl": json.dumps(ROW),
    ".ndjson": json.dumps(ROW) + "\n",
    ".json": json.dumps([ROW]),
}


@pytest.mark.parametrize("suffix", FORMS)
def test_a_name_says_what_is_in_it(alice: User, file: ForFile, suffix: str) -> None:  # M10
    for number, end in enumerate([suffix, suffix.upper(), f".2026.11{suffix}.gz"]):
        said, _ = load(file(f"usage{end}", FORMS[suffix]), *ACCOUNT)
        assert said.startswith("1 added" if number == 0 else "0 added, 1 known already")


def test_any_other_name_needs_a_format(alice: User, file: ForFile) -> None:
    path = file("usage.log", FORMS[".jsonl"])
    assert "Say --format csv or --format jsonl" in refused(path, *ACCOUNT)
    assert load(path, *ACCOUNT, "--format", "jsonl")[0].startswith("1 added")


def test_another_export_is_refused_by_the_columns_it_lacks(alice: User, file: ForFile) -> None:  # M10
    for name in PRESETS:
        path = file("usage.csv", "a,b\n1,2\n")
        reason = refused(path, *ACCOUNT, "--format", name)
        assert reason.startswith("The file has no column") or name == "codex"
