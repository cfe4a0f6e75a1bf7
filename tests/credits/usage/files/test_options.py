"""Options that contradict each other, or the file, are refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sidekick.accounts.models import User
from tests.credits.usage.conftest import ForFile
from tests.credits.usage.imports import load, load_with_bad_lines, refused, used

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("older")]
AT = "2026-11-22T10:00:00Z"
HEADER = "request_id,occurred_at,model,input_tokens,output_tokens,cache_read_tokens,cache_write_tokens\n"


def test_a_field_mapped_twice_is_refused(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", f"id,when,model,in,out,write5m,write1h\nm1,{AT},gpt-5,0,0,1000000,2000000\n")
    columns = ["--map", "request_id=id,occurred_at=when,input_tokens=in,output_tokens=out,cache_write_tokens=write5m"]
    twice = refused(path, "--account", alice.email, *columns, "--map", "cache_write_tokens=write1h")
    assert twice == "--map names cache_write_tokens twice: write5m and write1h."
    both = [text.replace("=write5m", "=write5m+write1h") for text in columns]
    load(path, "--account", alice.email, *both)
    assert used() == Decimal("75.000000")


def test_a_column_for_two_fields_is_refused(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", f"{HEADER}t1,{AT},gpt-5,10,5,9,0\n")
    two = ("--map", "input_tokens=output_tokens,cache_read_tokens=output_tokens")
    assert "for input_tokens and for cache_read_tokens" in refused(path, "--account", alice.email, *two)
    both = ("--account", alice.email, "--map", "account=request_id")
    assert refused(path, *both) == "--account and --map account=… both say it: give one of them."


def test_models_are_renamed(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", f"{HEADER}t1,{AT},openai/gpt-5,10,5,0,0\nt2,{AT},gpt-5,10,5,0,0\n")
    said, bad = load_with_bad_lines(path, "--account", alice.email)
    assert (said.split(",")[0], bad[0].split(":")[:2]) == ("1 added", ["line 2", " unknown_model"])
    load(path, "--account", alice.email, "--model-map", "openai/gpt-5=gpt-5")
    assert used() == Decimal("0.002500")
    assert "no model gpt-2" in refused(path, "--account", alice.email, "--model-map", "gpt-5=gpt-2")
    twice = ("--model-map", "a=gpt-5,a=gpt-5-mini")
    assert "names a twice" in refused(path, "--account", alice.email, *twice)


def test_a_file_id_is_for_chosen_lines_only(alice: User, file: ForFile) -> None:  # M10
    row = f"{AT},gpt-5,1,1\n"
    path = file("usage.csv", f"occurred_at,model,input_tokens,output_tokens\n{row}{row}")
    assert "--file-id needs --only-lines" in refused(path, "--account", alice.email, "--file-id", "b")
    assert refused(path, "--account", alice.email, "--only-lines", "3,7-9") == (
        "The file has no line 9: its last one is 3."
    )
    for text in ("x", "1-", "1--2", ",", "2;3", "-2"):
        assert "give numbers" in refused(path, "--account", alice.email, f"--only-lines={text}")
