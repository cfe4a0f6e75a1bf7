"""Columns are those of the file, or nothing is loaded."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sidekick.accounts.models import User
from tests.credits.usage.conftest import ForFile
from tests.credits.usage.imports import load, load_with_bad_lines, refused, tokens, used

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("older")]
HEADER = "request_id,occurred_at,model,input_tokens,output_tokens,cache_read_tokens,cache_write_tokens\n"
AT = "2026-11-22T10:00:00Z"


def test_a_mapped_column_that_is_not_there_is_refused(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", f"{HEADER}t1,{AT},gpt-5,10,5,900000,0\n")
    assert refused(path, "--account", alice.email, "--map", "cache_read_tokens=cache_raed_tokens") == (
        "The file has no column cache_raed_tokens for cache_read_tokens (did you mean cache_read_tokens?); it looks "
        "separated by commas. Its columns: request_id, occurred_at, model, input_tokens, output_tokens, "
        "cache_read_tokens, cache_write_tokens."
    )
    load(path, "--account", alice.email)
    assert used() == Decimal("2.251250")


def test_a_mapped_column_of_another_case_is_refused(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", f"ID,occurred_at,model,input_tokens,output_tokens\na,{AT},gpt-5,10,5\n")
    assert "(did you mean ID?)" in refused(path, "--account", alice.email, "--map", "request_id=Id")
    assert load(path, "--account", alice.email, "--map", "request_id=ID")[0].startswith("1 added")


@pytest.mark.parametrize("name", ["Request_ID", "request id", "REQUEST-ID", "Cache_Read_Tokens"])
def test_an_optional_column_of_another_spelling_is_not_passed_over(alice: User, file: ForFile, name: str) -> None:
    # M10
    path = file("usage.csv", f"{name},occurred_at,model,input_tokens,output_tokens\n7,{AT},gpt-5,10,5\n")
    field = name.lower().replace(" ", "_").replace("-", "_")
    assert refused(path, "--account", alice.email).endswith(f"Then say --map {field}={name}.")
    assert load(path, "--account", alice.email, "--map", f"{field}={name}")[0].startswith("1 added")
    lines = file("usage.jsonl", f'{{"{name}": "8", "occurred_at": "{AT}", "input_tokens": 1, "output_tokens": 1}}')
    assert "--map" in refused(lines, "--account", alice.email, "--model", "gpt-5")


@pytest.mark.parametrize("missing", ["account", "occurred_at", "model", "input_tokens", "output_tokens"])
def test_a_required_column_that_is_missing_is_told_once(alice: User, file: ForFile, missing: str) -> None:  # M10
    names = [name for name in ["account", *HEADER.strip().split(",")] if name != missing]
    path = file("usage.csv", ",".join(names) + "\n" + (",".join("1" for _ in names) + "\n") * 5000)
    assert refused(path).startswith(f"The file has no column {missing}")


def test_an_empty_cell_of_an_optional_column_is_none(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", f"{HEADER}b1,{AT},gpt-5,10,5,,\nb2,{AT},gpt-5,10,5, ,0\n")
    assert load(path, "--account", alice.email)[0] == "2 added, 0 known already, 0 bad lines."
    assert used() == Decimal("0.002500")
    bad = file("bad.csv", f"{HEADER}b3,{AT},gpt-5,,5,,\n,{AT},gpt-5,1,5,,\n")
    assert load_with_bad_lines(bad, "--account", alice.email)[1] == ["line 2: no input_tokens", "line 3: no request_id"]


def test_cached_tokens_inside_input_are_taken_out(alice: User, file: ForFile) -> None:  # M10
    content = f"request_id,created,model,prompt_tokens,completion_tokens,cached_tokens\no1,{AT},gpt-5,1000,20,800\n"
    columns = "occurred_at=created,input_tokens=prompt_tokens,output_tokens=completion_tokens"
    arguments = ("--account", alice.email, "--map", f"{columns},cache_read_tokens=cached_tokens")
    load(file("usage.csv", content), *arguments, "--cached-inside-input")
    assert (tokens(), used()) == ([(200, 20, 800, 0)], Decimal("0.011000"))
    more = file("more.csv", content.replace("o1", "o2").replace("800", "1001"))
    _, bad = load_with_bad_lines(more, *arguments, "--cached-inside-input")
    assert bad == ["line 2: it has more cached tokens than input tokens, so they are not counted inside"]


def test_a_cell_may_hold_json(alice: User, file: ForFile) -> None:  # M10
    path = file(
        "usage.csv",
        f'occurred_at,model,usage\n{AT},gpt-5,"{{""in"": 10, ""out"": {{""all"": 5}}}}"\n{AT},gpt-5,{{\n{AT},gpt-5,7\n',
    )
    columns = ("--account", alice.email, "--map", "input_tokens=usage.in,output_tokens=usage.out.all")
    said, bad = load_with_bad_lines(path, *columns)
    assert said.startswith("1 added")
    assert bad == ["line 3: no usage.in", "line 4: no usage.in"]
    wrong = [text.replace("usage.in", "usage.inn") for text in columns]
    assert "has no column usage.inn" in refused(path, *wrong)


def test_a_column_may_be_called_like_a_path_or_a_sum(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", f"occurred_at,model,in.all,out+more\n{AT},gpt-5,10,5\n")
    columns = ("--account", alice.email, "--map", "input_tokens=in.all,output_tokens=out+more")
    load(path, *columns)
    assert tokens() == [(10, 5, 0, 0)]


def test_an_empty_column_leaves_the_field_to_the_next_one(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", f"occurred_at,input_tokens,output_tokens,hit,read\n{AT},10,5,,7\n{AT},10,5,8,\n")
    load(path, "--account", alice.email, "--model", "gpt-5", "--map", "cache_read_tokens=hit|read")
    assert sorted(tokens()) == [(10, 5, 7, 0), (10, 5, 8, 0)]
