"""CSV of any kind: the header decides, and no line is lost."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from credits.models import UsageEvent
from sidekick.accounts.models import User
from tests.credits.usage.conftest import ForFile
from tests.credits.usage.imports import load, load_with_bad_lines, refused, tokens, used

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("older")]
HEADER = "request_id,occurred_at,model,input_tokens,output_tokens,cache_read_tokens,cache_write_tokens\n"


def line(number: int, at: str = "2026-11-22T10:00:00Z") -> str:
    return f"c{number},{at},gpt-5,10,5,0,0\n"


def test_nothing_is_loaded_after_a_quote_left_open(alice: User, file: ForFile) -> None:  # M10
    lines = [line(number) for number in range(1, 5002)]
    lines[1] = '"' + lines[1]
    path = file("usage.csv", HEADER + "".join(lines))
    said, bad = load_with_bad_lines(path, "--account", alice.email)
    assert said == "1 added, 0 known already, 5,000 bad lines."
    assert bad[0] == "line 3: a quote is not closed"
    assert bad[1].startswith("lines 4-5002: not read, because after the bad quoting of line 3")
    assert len(bad) == 2
    path.write_text(HEADER + "".join(lines).replace('"', ""))
    assert load(path, "--account", alice.email)[0] == "5,000 added, 1 known already, 0 bad lines."


def test_a_quote_that_a_later_line_closes_takes_no_line_with_it(alice: User, file: ForFile) -> None:  # M10
    rows = [line(1), '"' + line(2), line(3), line(4).replace("0\n", '0"\n'), "\n", line(5)]
    said, bad = load_with_bad_lines(file("usage.csv", HEADER + "".join(rows)), "--account", alice.email)
    assert said == "1 added, 0 known already, 4 bad lines."
    assert [re.findall(r"^line (\d+): ", text) for text in bad] == [["3"], ["4"], ["5"], ["7"]]


@pytest.mark.parametrize("place", [0, 5, 7])
@pytest.mark.parametrize("closing", [2, 3])
def test_a_row_that_took_others_with_it_is_no_row(alice: User, file: ForFile, place: int, closing: int) -> None:  # M10
    header = [*HEADER.strip().split(",")]
    rows = [line(number).strip().split(",") for number in range(1, 6)]
    for row in [header, *rows]:
        row.insert(place, "note")
    rows[1][place], rows[closing][place] = '"left open', '12"'
    path = file("usage.csv", "\n".join(",".join(row) for row in [header, *rows]))
    said, bad = load_with_bad_lines(path, "--account", alice.email)
    assert said == "1 added, 0 known already, 4 bad lines."
    assert bad[0] == "line 3: a quote is not closed. If line 4 is text of its value, save the file as JSON"


@pytest.mark.parametrize("place", [0, 5, 7])
def test_a_row_may_have_several_lines(alice: User, file: ForFile, place: int) -> None:  # M10
    header = [*HEADER.strip().split(",")]
    rows = [line(number).strip().split(",") for number in range(1, 4)]
    for row in [header, *rows]:
        row.insert(place, '"a, ""b""\n\n1,2,3,4,5,6,7,8\nc, 12"' if row is not header else "note")
    path = file("usage.csv", "\n".join(",".join(row) for row in [header, *rows]))
    assert load(path, "--account", alice.email)[0] == "3 added, 0 known already, 0 bad lines."


def test_text_of_a_prompt_is_never_charged_as_a_line(alice: User, file: ForFile) -> None:  # M10
    prompt = f'"Say "hi" to\nnote,{line(77)}end"'
    rows = [f"a,{line(1)}", f"{prompt},{line(2)}", f"b,{line(3)}"]
    said, bad = load_with_bad_lines(file("usage.csv", f"prompt,{HEADER}{''.join(rows)}"), "--account", alice.email)
    assert said == "1 added, 0 known already, 4 bad lines."
    assert [text.split(":")[0] for text in bad] == [f"line {number}" for number in range(3, 7)]
    assert [event.request_id for event in UsageEvent.objects.all()] == ["c1"]


def test_bad_quoting_is_told_with_its_own_line(alice: User, file: ForFile) -> None:  # M10
    rows = [line(1), line(2), line(3).replace("gpt-5", '"gpt"-5'), line(4)]
    said, bad = load_with_bad_lines(file("usage.csv", HEADER + "".join(rows)), "--account", alice.email)
    assert said == "2 added, 0 known already, 2 bad lines."
    assert [text.split(":")[0] for text in bad] == ["line 4", "line 5"]


def test_a_row_with_too_many_values_costs_its_own_line_only(alice: User, file: ForFile) -> None:  # M10
    rows = [line(1), line(2).replace("10,", "10,10,"), line(3)]
    said, bad = load_with_bad_lines(file("usage.csv", HEADER + "".join(rows)), "--account", alice.email)
    assert said == "2 added, 0 known already, 1 bad lines."
    assert bad == ["line 3: 8 values for 7 columns"]


def test_rows_of_several_lines_are_known_by_their_first(alice: User, file: ForFile) -> None:  # M10
    content = (
        "note,occurred_at,input_tokens,output_tokens\n"
        '"a\nb",2026-11-22T10:00:00Z,1,1\n"a\n\nb",yesterday,1,1\n\nc,2026-11-22T10:01:00Z,2,x\n'
    )
    said, bad = load_with_bad_lines(file("usage.csv", content), "--account", alice.email, "--model", "gpt-5")
    assert said == "1 added, 0 known already, 2 bad lines."
    assert [text.split(":")[0] for text in bad] == ["line 4", "line 8"]


def test_a_cell_may_hold_a_long_prompt(alice: User, file: ForFile) -> None:  # M10
    content = f'prompt,occurred_at,input_tokens,output_tokens\n"{"x, " * 100_000}",2026-11-22T10:00:00Z,1,1\n'
    assert load(file("usage.csv", content), "--account", alice.email, "--model", "gpt-5")[0].startswith("1 added")


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_header_says_what_separates_columns(alice: User, file: ForFile, delimiter: str) -> None:  # M10
    content = (HEADER + line(1) + line(2)).replace(",", delimiter)
    assert load(file("usage.csv", content), "--account", alice.email)[0] == "2 added, 0 known already, 0 bad lines."
    assert tokens() == [(10, 5, 0, 0)] * 2


def test_a_delimiter_can_be_named(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", (HEADER + line(1)).replace(",", "~"))
    assert "has no column" in refused(path, "--account", alice.email)
    assert load(path, "--account", alice.email, "--delimiter", "~")[0].startswith("1 added")
    tabs = file("tabs.csv", (HEADER + line(2)).replace(",", "\t"))
    assert load(tabs, "--account", alice.email, "--delimiter", "tab")[0].startswith("1 added")
    assert "give one character" in refused(path, "--account", alice.email, "--delimiter", ";;")


def test_a_header_that_fits_nothing_is_told_in_one_sentence(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", "id;when;llm\n" + "a;2026-11-22;gpt-5\n" * 2000)
    assert refused(path, "--account", alice.email) == (
        "The file has no column model; it looks separated by semicolons. Its columns: id, when, llm."
    )


def test_spaces_around_names_are_no_part_of_them(alice: User, file: ForFile) -> None:  # M10
    content = "\ufeffoccurred_at , input_tokens ,\toutput_tokens\n2026-11-22T10:00:00Z, 10 ,5\n"
    assert load(file("usage.csv", content), "--account", alice.email, "--model", "gpt-5")[0].startswith("1 added")


def test_a_column_twice_in_the_header_is_refused(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", "occurred_at,model,input_tokens,output_tokens,input_tokens \n2026-11-22,gpt-5,1,2,3\n")
    assert "names input_tokens twice" in refused(path, "--account", alice.email)


def test_empty_lines_and_names_are_passed_over(alice: User, file: ForFile) -> None:  # M10
    content = "\n" + HEADER.replace("\n", ",,\n") + "\n" + line(1).replace("\n", ",,\n") + "\n"
    assert load(file("usage.csv", content), "--account", alice.email)[0].startswith("1 added")
    assert used() == Decimal("0.00125")


def test_a_header_of_broken_quotes_is_refused(alice: User, file: ForFile) -> None:  # M10
    assert "header can't be read" in refused(file("usage.csv", '"a"b,c\n1,2\n'), "--account", alice.email)
