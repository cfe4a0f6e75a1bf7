"""Usage out of files: every good line once, every bad line named."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum
from django.test import Client

from credits.models import CreditPeriod, UsageEvent
from credits.usage import recording
from sidekick.accounts import device_sessions
from sidekick.accounts.models import User
from tests.credits.books import assert_books_balance
from tests.credits.usage.conftest import ForFile
from tests.credits.usage.imports import load, load_with_bad_lines

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("older")]
TRACE = Path(__file__).parents[4] / "shared" / "data" / "azure_llm_inference_trace_code.csv"
TRACE_COLUMNS = "occurred_at=TIMESTAMP,input_tokens=ContextTokens,output_tokens=GeneratedTokens"


def stored() -> list[tuple[str, datetime, int, int]]:
    rows = UsageEvent.objects.order_by("occurred_at", "request_id")
    return list(rows.values_list("model__name", "occurred_at", "input_tokens", "output_tokens"))


LINE = {
    "request_id": "r1", "account": "", "model": "gpt-5", "occurred_at": "2024-03-10T07:30:00Z", "input_tokens": 100,
    "output_tokens": 7, "cache_read_tokens": 3, "cache_write_tokens": 2,
}  # fmt: skip


def test_columns_of_any_name_are_mapped(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", f"when,who,prompt,answer,llm\n2024-03-10T07:30:00Z,{alice.id},100,7,gpt-5\n")
    said, _ = load(
        path,
        "--map", "occurred_at=when,input_tokens=prompt,output_tokens=answer",
        "--map", "account=who",
        "--map", "model=llm",
    )  # fmt: skip
    assert said == "1 added, 0 known already, 0 bad lines."
    assert stored() == [("gpt-5", datetime(2024, 3, 10, 7, 30, tzinfo=UTC), 100, 7)]
    assert_books_balance()


def test_moments_without_an_offset_are_of_the_zone_that_is_named(alice: User, file: ForFile) -> None:  # M10
    path = file(
        "usage.csv",
        "occurred_at,input_tokens,output_tokens\n"
        "2024-03-09 12:00:00,1,0\n2024-03-10 12:00:00.1234567,2,0\n2024-03-11T12:00:00+05:45,3,0\n",
    )
    load(path, "--account", alice.email, "--model", "gpt-5", "--time-zone", "America/New_York")
    assert [moment.isoformat() for _, moment, _, _ in stored()] == [
        "2024-03-09T17:00:00+00:00",
        "2024-03-10T16:00:00.123456+00:00",
        "2024-03-11T06:15:00+00:00",
    ]


def test_json_lines_load_as_well(alice: User, file: ForFile) -> None:  # M10
    lines = [LINE | {"account": str(alice.id), "request_id": f"r{number}"} for number in range(3)]
    path = file("usage.jsonl", "\n".join(map(json.dumps, lines)) + "\n\n")
    assert load(path)[0] == "3 added, 0 known already, 0 bad lines."
    assert set(UsageEvent.objects.values_list("request_id", "cache_read_tokens", "cache_write_tokens")) == {
        ("r0", 3, 2), ("r1", 3, 2), ("r2", 3, 2),
    }  # fmt: skip
    plain = file("usage.txt", path.read_text())
    assert load(plain, "--format", "jsonl")[0] == "0 added, 3 known already, 0 bad lines."


def test_a_request_id_column_is_what_a_request_is_called(alice: User, charlie: User, file: ForFile) -> None:  # M10
    content = "id,occurred_at,input_tokens,output_tokens\na,2024-03-10T07:30:00Z,1,1\nb,2024-03-10T07:30:00Z,1,1\n"
    path = file("usage.csv", content)
    arguments = ("--model", "gpt-5", "--map", "request_id=id")
    load(path, "--account", alice.email, *arguments)
    assert load(path, "--account", charlie.email, *arguments)[0] == "2 added, 0 known already, 0 bad lines."
    assert load(path, "--account", alice.email, *arguments)[0] == "0 added, 2 known already, 0 bad lines."
    changed = file("changed.csv", content.replace("1,1", "1,2"))
    _, bad = load_with_bad_lines(changed, "--account", alice.email, *arguments)
    assert [line.split(":")[:2] for line in bad] == [["line 2", " conflict"], ["line 3", " conflict"]]
    assert_books_balance()


def test_bad_lines_are_named_and_the_good_ones_stay(alice: User, file: ForFile) -> None:  # M10
    path = file(
        "usage.csv",
        "\n".join([
            "occurred_at,model,input_tokens,output_tokens",
            "2024-03-10T07:30:00Z,gpt-5,1,1",
            "yesterday,gpt-5,1,1",
            "2024-03-10T07:31:00Z,gpt-2,1,1",
            "2024-03-10T07:32:00Z,gpt-5,-1,1",
            "2024-03-10T07:33:00Z,gpt-5,1.5,1",
            "2024-03-10T07:34:00Z,gpt-5,1",
            "2024-03-10T07:35:00Z,gpt-5,1,1,9",
            "2024-03-10T07:36:00Z,gpt-5,99999999999,1",
            "2999-03-10T07:36:00Z,gpt-5,1,1",
            "1999-03-10T07:36:00Z,gpt-5,1,1",
            '"2024-03-10T07:37:00Z",gpt-5,1,1',
        ]),
    )  # fmt: skip
    said, bad = load_with_bad_lines(path, "--account", alice.email)
    assert said == "2 added, 0 known already, 9 bad lines."
    assert [re.findall(r"^line (\d+): ", line) for line in bad] == [[str(number)] for number in range(3, 12)]
    assert len(stored()) == 2
    assert_books_balance()


def test_bad_lines_of_json_are_named_too(alice: User, file: ForFile) -> None:  # M10
    good = json.dumps(LINE | {"account": str(alice.id)})
    bad_tokens = json.dumps(LINE | {"account": str(alice.id), "request_id": "r2", "input_tokens": True})
    lines = [good, "{", "[]", "null", "", json.dumps(LINE | {"account": "nobody"}), bad_tokens, "[" * 50_000]
    said, bad = load_with_bad_lines(file("usage.jsonl", "\n".join(lines)))
    assert said == "1 added, 0 known already, 6 bad lines."
    assert [int(line.split(":")[0].removeprefix("line ")) for line in bad] == [2, 3, 4, 6, 7, 8]


def rows_of(count: int) -> str:
    rows = [f"2024-03-{1 + n % 28:02d} 10:{n % 60:02d}:00,{n},{n % 9}" for n in range(count)]
    return "occurred_at,input_tokens,output_tokens\n" + "\n".join(rows) + "\n"


def test_a_second_run_adds_nothing(alice: User, file: ForFile) -> None:  # M10
    path, arguments = file("usage.csv", rows_of(2500)), ("--account", alice.email, "--model", "gpt-5-mini")
    assert load(path, *arguments)[0] == "2,500 added, 0 known already, 0 bad lines."
    before = stored()
    assert load(path, *arguments)[0] == "0 added, 2,500 known already, 0 bad lines."
    longer = file("renamed.csv", rows_of(2510))
    assert load(longer, *arguments)[0] == "10 added, 2,500 known already, 0 bad lines."
    assert len(before) == 2500
    assert_books_balance()


def test_after_a_crash_the_rest_is_added_only(
    alice: User, file: ForFile, monkeypatch: pytest.MonkeyPatch
) -> None:  # M10
    path, arguments = file("usage.csv", rows_of(2500)), ("--account", alice.email, "--model", "gpt-5-mini")
    record, calls = recording.record, []

    def crash(events: Any, **options: Any) -> Any:
        calls.append(len(events))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return record(events, **options)

    with monkeypatch.context() as crashing:
        crashing.setattr(recording, "record", crash)
        with pytest.raises(KeyboardInterrupt):
            load(path, *arguments)
    assert UsageEvent.objects.count() == 2000
    assert load(path, *arguments)[0] == "500 added, 2,000 known already, 0 bad lines."
    assert_books_balance()


def test_requests_that_look_alike_are_all_kept(alice: User, file: ForFile) -> None:  # M10
    same = "2024-03-10 07:30:00,5,5\n"
    path = file("usage.csv", "occurred_at,input_tokens,output_tokens\n" + same * 3)
    arguments = ("--account", alice.email, "--model", "gpt-5")
    assert load(path, *arguments)[0] == "3 added, 0 known already, 0 bad lines."
    assert load(path, *arguments)[0] == "0 added, 3 known already, 0 bad lines."
    more = file("more.csv", "occurred_at,input_tokens,output_tokens\n" + same * 4)
    assert load(more, *arguments)[0] == "1 added, 3 known already, 0 bad lines."


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--account", "nobody@example.com"], "There is no account nobody@example.com."),
        (["--model", "gpt-2"], "The price book has no model gpt-2."),
        (["--time-zone", "Mars/Olympus"], "There is no time zone Mars/Olympus."),
        (["--map", "tokens=x"], "--map tokens: give FIELD=COLUMN"),
        (["--map", "input_tokens"], "--map input_tokens"),
    ],
)
def test_a_wrong_option_is_said_before_anything_is_loaded(
    alice: User, file: ForFile, arguments: list[str], sentence: str
) -> None:
    with pytest.raises(CommandError, match=re.escape(sentence.rstrip("."))):
        load(file("usage.csv", rows_of(2)), *arguments)
    assert not UsageEvent.objects.exists()


def test_a_file_that_is_none_is_said(tmp_path: Path, file: ForFile) -> None:
    with pytest.raises(CommandError, match="can't be read"):
        load(tmp_path / "nothing.csv")
    with pytest.raises(CommandError, match="Say --format csv or --format jsonl"):
        load(file("usage.xlsx", ""))
    assert load(file("empty.csv", ""))[0] == "0 added, 0 known already, 0 bad lines."


@pytest.mark.skipif(not TRACE.exists(), reason="the real trace is not beside this checkout")
def test_a_real_day_of_usage_is_right_everywhere(
    client: Client, alice: User, sign_in: Callable[[Client, User], None]
) -> None:  # M10 M11 C1 C3 C4
    User.objects.filter(id=alice.id).update(date_joined=datetime(2023, 11, 1, tzinfo=UTC))
    arguments = ("--account", alice.email, "--model", "gpt-5-mini", "--map", TRACE_COLUMNS)
    assert load(TRACE, *arguments)[0] == "8,819 added, 0 known already, 0 bad lines."
    assert load(TRACE, *arguments)[0] == "0 added, 8,819 known already, 0 bad lines."

    lines = [line.split(",") for line in TRACE.read_text().split()[1:] if "," in line]
    by_hand = sum(Decimal(int(i) * 5 + int(o) * 40) / 1_000_000 for _, i, o in lines)
    assert UsageEvent.objects.aggregate(total=Sum("credits"))["total"] == by_hand
    assert_books_balance()
    call_command("audit_credits", stdout=io.StringIO())

    access = device_sessions.start(alice, ip="127.0.0.1", user_agent="tests").access
    api = Client(headers={"Authorization": f"Bearer {access}"})
    span = {"from": "2023-11-16", "to": "2023-11-16"}
    seen: list[str] = []
    for page in (1, 2, 220, 441):
        answer = api.get("/api/v1/usage", {**span, "page": str(page)}).json()
        assert (answer["count"], answer["pages"]) == (8819, 441)
        seen += [row["request_id"] for row in answer["results"]]
    newest = list(UsageEvent.objects.order_by("-occurred_at", "-request_id").values_list("request_id", flat=True))
    assert seen == newest[:40] + newest[219 * 20 : 220 * 20] + newest[440 * 20 :]
    total = api.get("/api/v1/usage/models", span).json()["total"]
    assert (total["requests"], Decimal(total["credits"])) == (8819, by_hand)
    assert total["input_tokens"] == sum(int(i) for _, i, _ in lines)
    assert total["output_tokens"] == sum(int(o) for _, _, o in lines)

    sign_in(client, alice)
    custom = "range=custom&from=2023-11-16&to=2023-11-16"
    html = client.get(f"/dashboard/credits?{custom}&page=441").content.decode()
    assert "8,801–8,819 of 8,819 requests" in html
    html = client.get(f"/dashboard/credits/models?{custom}").content.decode()
    shown = re.findall(r'data-label="Credits" title="([\d.,]+)"', html)
    assert {Decimal(text.replace(",", "")) for text in shown} == {by_hand}
    # Everything is owed or drawn now, though it occurred in a period that never was or is long closed.
    state = api.get("/api/v1/credits").json()
    drawn = CreditPeriod.objects.aggregate(total=Sum("plan_used"))["total"]
    assert drawn + Decimal(state["debt"]) == by_hand
    assert Decimal(state["total"]) - drawn == Decimal(state["available"])
