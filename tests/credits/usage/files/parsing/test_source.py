"""Bytes become text, or the file is refused before anything is loaded."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from credits.models import UsageEvent
from credits.usage.files import checking, columns
from sidekick.accounts.models import User
from tests.credits.usage.conftest import ForFile
from tests.credits.usage.imports import load, refused

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("older")]
TEXT = (
    "request_id,occurred_at,model,input_tokens,output_tokens\n"
    "café-1,2026-11-22T10:00:00Z,gpt-5,10,5\ncafè-1,2026-11-22T10:00:00Z,gpt-5,10,5\n"
)
BOTH = {"café-1", "cafè-1"}
ADDED = "2 added, 0 known already, 0 bad lines."


def ids() -> set[str]:
    return set(UsageEvent.objects.values_list("request_id", flat=True))


def test_text_of_another_encoding_is_refused_until_it_is_named(alice: User, file: ForFile) -> None:  # M10
    # The first thousand lines are readable: none of them is loaded.
    good = "".join(f"r{n},2026-11-22T10:00:00Z,gpt-5,10,5\n" for n in range(20_000))
    path = file("usage.csv", TEXT.replace("\ncafé", f"\n{good}café").encode("latin-1"))
    reason = refused(path, "--account", alice.email)
    assert reason.startswith("Line 20002 is not UTF-8.")
    assert "--encoding" in reason
    path.write_bytes(TEXT.encode("latin-1"))
    assert load(path, "--account", alice.email, "--encoding", "latin-1")[0] == ADDED
    assert ids() == BOTH


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_utf_is_recognised_by_its_mark(alice: User, file: ForFile, encoding: str) -> None:  # M10
    assert load(file("usage.csv", TEXT.encode(encoding)), "--account", alice.email)[0] == ADDED
    assert ids() == BOTH


def test_utf_16_without_a_mark_is_refused_and_read_when_named(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", TEXT.replace("é", "e").replace("è", "f").encode("utf-16-le"))
    assert "--encoding utf-16-le" in refused(path, "--account", alice.email)
    assert load(path, "--account", alice.email, "--encoding", "utf-16-le")[0] == ADDED


def test_a_mark_is_no_part_of_the_first_name(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", TEXT.encode("utf-8-sig"))
    assert load(path, "--account", alice.email, "--encoding", "UTF8")[0] == ADDED
    assert ids() == BOTH


@pytest.mark.parametrize("name", ["usage.csv.gz", "usage.csv"])
def test_gzip_is_recognised(alice: User, file: ForFile, name: str) -> None:  # M10
    assert load(file(name, gzip.compress(TEXT.encode("utf-16"))), "--account", alice.email)[0] == ADDED


def test_a_broken_archive_is_refused(alice: User, file: ForFile) -> None:  # M10
    whole = gzip.compress(TEXT.encode() + "".join(f"r{n * n},2026-11-22,gpt-5,{n},5\n" for n in range(2000)).encode())
    for broken in (whole[:-4], whole[: len(whole) // 2], whole[:99] + b"\0\0\0" + whole[102:], whole[:12]):
        assert "gzip" in refused(file("usage.csv", broken), "--account", alice.email, "--encoding", "latin-1")


def test_a_workbook_is_refused(alice: User, file: ForFile) -> None:  # M10
    assert "save its table as CSV" in refused(file("usage.csv", b"PK\x03\x04rest"), "--account", alice.email)


def test_an_encoding_that_is_none_is_refused(alice: User, file: ForFile) -> None:  # M10
    for name in ("klingon", "rot13", "hex"):
        assert f"There is no encoding {name}." in refused(file("usage.csv", TEXT), "--encoding", name)
    assert refused(file("usage.csv", b"\xff\xff"), "--encoding", "utf-8").startswith("The file is not utf-8")


def test_a_pipe_is_refused(alice: User, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "usage.csv")
    assert "no regular file" in refused(tmp_path / "usage.csv")


def test_lines_that_come_while_a_file_is_read_are_not_loaded_unchecked(
    alice: User, file: ForFile, monkeypatch: pytest.MonkeyPatch
) -> None:  # M10
    path = file("usage.csv", TEXT)
    check = columns.check_columns

    def grow(*arguments: object) -> None:
        check(*arguments)  # type: ignore[arg-type]
        path.write_text(TEXT + "late,2026-11-22T10:00:00Z,gpt-5,10,5\n")

    monkeypatch.setattr(checking, "check_columns", grow)
    assert "changed while it was read" in refused(path, "--account", alice.email)
