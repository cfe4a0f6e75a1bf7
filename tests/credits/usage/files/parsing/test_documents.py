"""JSON of any form: nothing twice, nothing lost."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from credits.models import UsageEvent
from credits.usage.files.parsing import decoder, documents
from credits.usage.files.parsing.lines import BadLine, Refused
from sidekick.accounts.models import User
from tests.credits.usage.conftest import ForFile
from tests.credits.usage.imports import load, load_with_bad_lines, refused, tokens

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("older")]


def row(number: int, **changes: Any) -> dict[str, Any]:
    usage = {"input_tokens": number, "output_tokens": 5, "details": {"cached": 2}}
    return {"id": f"r{number}", "at": 1_763_800_000 + number, "model": "gpt-5", "usage": usage, **changes}


MAP = (
    "--map",
    "request_id=id,occurred_at=at,input_tokens=usage.input_tokens,output_tokens=usage.output_tokens",
    "--map",
    "cache_read_tokens=usage.details.cached",
)


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_is_read(alice: User, file: ForFile, indent: int | None) -> None:  # M10
    path = file("usage.json", json.dumps([row(n) for n in range(2500)], indent=indent))
    assert load(path, "--account", alice.email, *MAP)[0] == "2,500 added, 0 known already, 0 bad items."
    assert load(path, "--account", alice.email, *MAP)[0] == "0 added, 2,500 known already, 0 bad items."
    assert tokens()[7] == (7, 5, 2, 0)


def test_objects_over_several_lines_are_read(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.json", "\n".join(json.dumps(row(n), indent=2) for n in range(3)))
    assert load(path, "--account", alice.email, *MAP)[0] == "3 added, 0 known already, 0 bad items."


def test_lines_are_read_whatever_the_file_is_called(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.json", "\n".join(json.dumps(row(n)) for n in range(3)))
    assert load(path, "--account", alice.email, *MAP)[0] == "3 added, 0 known already, 0 bad lines."


def test_bad_items_are_told_by_their_place(alice: User, file: ForFile) -> None:  # M10
    content = json.dumps([row(1), 7, None, row(2, model="gpt-2"), [row(3)], row(4)])
    said, bad = load_with_bad_lines(file("usage.json", content), "--account", alice.email, *MAP)
    assert said == "2 added, 0 known already, 4 bad items."
    assert [text.split(":")[0] for text in bad] == ["item 2", "item 3", "item 4", "item 5"]


@pytest.mark.parametrize("end", ["", "]]", "] x", ", ]", ",", "7]", "] []"])
def test_an_array_that_breaks_is_refused_as_a_whole(alice: User, file: ForFile, end: str) -> None:  # M10
    good = ",\n".join(json.dumps(row(n)) for n in range(1, 1500))
    assert "not JSON" in refused(file("usage.json", f"[{good}{end}"), "--account", alice.email, *MAP)


def test_a_name_twice_in_an_object_is_a_bad_line(alice: User, file: ForFile) -> None:  # M10
    twice = '{"input_tokens": 1, "input_tokens": 9, "output_tokens": 1}'
    inside = json.dumps(row(1)).replace(json.dumps(row(1)["usage"]), twice)
    outside = json.dumps(row(2))[:-1] + ', "model": "gpt-5-mini"}'
    for name, content in {"usage.jsonl": f"{inside}\n{outside}", "usage.json": f"[{inside}, {outside}]"}.items():
        ok = json.dumps(row(3))
        path = file(name, content.replace(inside, f"{ok}\n{inside}" if name == "usage.jsonl" else f"{ok}, {inside}"))
        _, bad = load_with_bad_lines(path, "--account", alice.email, *MAP)
        assert [text.split(": ")[1] for text in bad] == ["input_tokens stands in it twice", "model stands in it twice"]


def test_a_path_that_no_line_has_is_refused(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.jsonl", "\n".join(json.dumps(row(n)) for n in range(3)))
    wrong = [text.replace("usage.details.cached", "usage.details.cache") for text in MAP]
    reason = refused(path, "--account", alice.email, *wrong)
    assert reason.startswith(
        "The file has no column usage.details.cache for cache_read_tokens (did you mean usage.details.cached?). "
    )
    # One line is enough: the others used no cache.
    late = [row(n, usage={"input_tokens": 1, "output_tokens": 1}) for n in range(1500)] + [row(1500)]
    path = file("late.jsonl", "\n".join(map(json.dumps, late)))
    assert load(path, "--account", alice.email, *MAP)[0].startswith("1,501 added")


def test_a_line_without_an_id_among_lines_with_ids_is_bad(alice: User, file: ForFile) -> None:  # M10
    lines = [row(1), {name: value for name, value in row(2).items() if name != "id"}, row(3, id=None)]
    path = file("usage.jsonl", "\n".join(map(json.dumps, lines)))
    assert load_with_bad_lines(path, "--account", alice.email, *MAP)[1] == ["line 2: no id", "line 3: no id"]


def test_text_that_no_database_holds_is_a_bad_line(alice: User, file: ForFile) -> None:  # M10
    names = ["a\x00b", "\ud800", "x" * 129, "", 7]
    path = file("usage.jsonl", "\n".join(json.dumps(row(n, id=name)) for n, name in enumerate(names)))
    said, bad = load_with_bad_lines(path, "--account", alice.email, *MAP)
    assert (said.split(",")[0], len(bad)) == ("0 added", 5)
    people = [row(n, who=name) for n, name in enumerate([7, "a\x00b", "\ud800", "nobody@example.com", alice.email])]
    path = file("people.jsonl", "\n".join(map(json.dumps, people)))
    assert load_with_bad_lines(path, "--map", "account=who", *MAP)[0].startswith("1 added")


def test_an_item_is_read_over_the_ends_of_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "CHUNK", 3)
    items = [{"a": "é" * n, "b": [n, {"c": -1.5}]} for n in range(12)]
    for content in (json.dumps(items), json.dumps(items, indent=1), "\n".join(map(json.dumps, items))):
        assert [found for _, found in documents.read_items(io.StringIO(content))] == items
    found = list(documents.read_items(io.StringIO("[123456, {}]")))
    assert isinstance(found[0][1], BadLine)
    assert found[1] == (2, {})


def test_an_endless_item_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "LONGEST_ITEM", 1000)
    monkeypatch.setattr(decoder, "CHUNK", 100)
    with pytest.raises(Refused, match="Line 2"):
        list(documents.read_items(io.StringIO("[\n" + '{"a": "' + "x" * 100_000)))


def test_nothing_is_loaded_of_an_empty_document(alice: User, file: ForFile) -> None:
    for content in ("", "[]", " \n"):
        assert load(file("usage.json", content), "--account", alice.email)[0].startswith("0 added")
    assert "has no column occurred_at" in refused(file("usage.json", '{"model": "gpt-5"}'), "--account", alice.email)
    assert not UsageEvent.objects.exists()
