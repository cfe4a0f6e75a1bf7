"""Small files with the headers of what each tool exports, made up."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from credits.models import UsageEvent
from sidekick.accounts.models import User
from tests.credits.books import assert_books_balance
from tests.credits.usage.conftest import ForFile
from tests.credits.usage.imports import load, load_with_bad_lines, refused, tokens, used

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("older", "noon")]
ACCOUNT = ("--account", "alice@example.com")
DAY, NEXT = 1_795_305_600, 1_795_392_000  # 22 and 23 November 2026.


@pytest.fixture
def noon() -> Any:
    with time_machine.travel(datetime(2026, 11, 24, 12, tzinfo=UTC), tick=False):
        yield


def times() -> list[str]:
    rows = UsageEvent.objects.order_by("occurred_at", "request_id")
    return [f"{moment:%Y-%m-%dT%H:%M:%S}" for moment in rows.values_list("occurred_at", flat=True)]


OPENAI_CSV = (
    "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,model,batch,"
    "service_tier,input_tokens,output_tokens,input_cached_tokens,input_uncached_tokens\n"
    f"{DAY},{NEXT},2026-11-22T00:00:00+00:00,2026-11-23T00:00:00+00:00,p,3,,,gpt-5-2025-08-07,,,1000,20,800,200\n"
    f"{DAY},{NEXT},2026-11-22T00:00:00+00:00,2026-11-23T00:00:00+00:00,q,1,,,gpt-5-2025-08-07,,,1000,20,800,200\n"
    f"{NEXT},{NEXT + 86_400},2026-11-23T00:00:00+00:00,2026-11-24T00:00:00+00:00,,,,,,,,,,,\n"
)
OPENAI_MODELS = ("--format", "openai", "--model-map", "gpt-5-2025-08-07=gpt-5")


def openai_page(**changes: Any) -> str:
    results = [
        {
            "object": "organization.usage.completions.result", "input_tokens": 1000, "output_tokens": 20,
            "input_cached_tokens": 800, "num_model_requests": 3, "project_id": project, "user_id": None,
            "api_key_id": None, "model": "gpt-5-2025-08-07", "batch": None, "service_tier": None, **changes,
        }
        for project in ("p", "q")
    ]  # fmt: skip
    buckets = [
        {"object": "bucket", "start_time": DAY, "end_time": NEXT, "results": results},
        {"object": "bucket", "start_time": NEXT, "end_time": NEXT + 86_400, "results": []},
    ]
    return json.dumps({"object": "page", "data": buckets, "has_more": False}, indent=1)


def test_openai(alice: User, file: ForFile) -> None:  # M10
    csv, page = file("usage.csv", OPENAI_CSV), file("usage.json", openai_page())
    said, _ = load(csv, *ACCOUNT, *OPENAI_MODELS)
    assert said == "2 added, 0 known already, 0 bad lines, 1 without a request."
    assert (tokens(), used()) == ([(200, 20, 800, 0)] * 2, Decimal("0.022000"))
    assert times() == ["2026-11-22T00:00:00"] * 2
    # Both exports name the same sums alike.
    assert load(page, *ACCOUNT, *OPENAI_MODELS)[0] == "0 added, 2 known already, 0 bad items."
    assert_books_balance()


def test_a_sum_whose_time_is_not_over_waits(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", OPENAI_CSV)
    with time_machine.travel(datetime.fromtimestamp(NEXT - 1, UTC), tick=False):
        said, bad = load_with_bad_lines(path, *ACCOUNT, *OPENAI_MODELS)
    assert said == "0 added, 0 known already, 2 bad lines, 1 without a request."
    assert bad[0] == "line 2: its time is not over, so this sum will still grow"
    assert load(path, *ACCOUNT, *OPENAI_MODELS)[0].startswith("2 added")


def test_usage_that_is_not_grouped_by_model_is_told(alice: User, file: ForFile) -> None:
    path = file("usage.json", openai_page(model=None))
    _, bad = load_with_bad_lines(path, *ACCOUNT, "--format", "openai")
    assert bad == ["item 1: no model", "item 2: no model"]
    load(path, *ACCOUNT, "--format", "openai", "--model", "gpt-5")
    assert used() == Decimal("0.022000")


def test_anthropic(alice: User, file: ForFile) -> None:  # M10
    csv = file(
        "usage.csv",
        "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
        "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
        "usage_output_tokens,web_search_count,inference_geo,speed\n"
        "2026-11-22,claude-haiku-4-5-20251001,key,Default,standard,≤ 200k,100,20,3,50,7,0,global,\n",
    )
    models = ("--format", "anthropic", "--model-map", "claude-haiku-4-5-20251001=claude-haiku-4-5")
    load(csv, *ACCOUNT, *models)
    assert tokens() == [(100, 7, 50, 23)]
    result = {
        "uncached_input_tokens": 100, "cache_creation": {
            "ephemeral_1h_input_tokens": 3, "ephemeral_5m_input_tokens": 20,
        },
        "cache_read_input_tokens": 50, "output_tokens": 7, "server_tool_use": {"web_search_requests": 0},
        "api_key_id": None, "workspace_id": None, "model": "claude-haiku-4-5-20251001", "service_tier": None,
        "context_window": None,
    }  # fmt: skip
    bucket = {"starting_at": "2026-11-21T00:00:00Z", "ending_at": "2026-11-22T00:00:00Z", "results": [result]}
    load(file("usage.json", json.dumps({"data": [bucket], "has_more": False})), *ACCOUNT, *models)
    assert tokens() == [(100, 7, 50, 23)] * 2
    assert times() == ["2026-11-21T00:00:00", "2026-11-22T00:00:00"]


def test_openrouter(alice: User, file: ForFile) -> None:  # M10
    csv = file(
        "activity.csv",
        "generation_id,created_at,cost_total,cost_web_search,cost_cache,cost_file_processing,byok_usage_inference,"
        "tokens_prompt,tokens_completion,tokens_reasoning,tokens_cached,model_permaslug,provider_name,variant,cancelled,"
        "streamed,user,finish_reason_raw,finish_reason_normalized,generation_time_ms,time_to_first_token_ms,app_name\n"
        "gen-1,2026-11-22 09:00:00.713,0.01,0,0,0,0,1000,20,5,800,openai/gpt-5,OpenAI,standard,false,true,,stop,stop,"
        "9,9,app\n",
    )
    models = ("--format", "openrouter", "--model-map", "openai/gpt-5=gpt-5")
    load(csv, *ACCOUNT, *models)
    assert (tokens(), times()) == ([(200, 20, 800, 0)], ["2026-11-22T09:00:00"])
    assert UsageEvent.objects.get().request_id == "gen-1"
    day = {
        "date": "2026-11-21", "model": "openai/gpt-5", "model_permaslug": "openai/gpt-5-2025-08-07",
        "endpoint_id": "e", "provider_name": "OpenAI", "usage": 0.1, "byok_usage_inference": 0, "requests": 5,
        "prompt_tokens": 50, "completion_tokens": 125, "reasoning_tokens": 25,
    }  # fmt: skip
    load(file("activity.json", json.dumps({"data": [day]})), *ACCOUNT, *models)
    assert tokens() == [(50, 125, 0, 0), (200, 20, 800, 0)]


def test_an_export_without_its_ids_is_refused(alice: User, file: ForFile) -> None:  # M10
    # Its rows would get ids made up from them, and be charged once more from a copy of the export that has its ids.
    header = "created_at,tokens_prompt,tokens_completion,tokens_cached,model_permaslug\n"
    csv = file("activity.csv", f"{header}2026-11-22 09:00:00,1000,20,800,gpt-5\n")
    why = refused(csv, *ACCOUNT, "--format", "openrouter")
    assert why.startswith("The file has no column generation_id for request_id")


def test_litellm(alice: User, charlie: User, file: ForFile) -> None:  # M10
    log = {
        "request_id": "chatcmpl-1", "call_type": "acompletion", "api_key": "hash", "spend": 0.1, "total_tokens": 1020,
        "prompt_tokens": 1000, "completion_tokens": 20, "startTime": "2026-11-22T09:00:00.123000",
        "endTime": "2026-11-22T09:00:01", "model": "gpt-5", "user": "", "end_user": charlie.email, "metadata": {
            "additional_usage_values": {"prompt_tokens_details": {"cached_tokens": 800}},
        },
    }  # fmt: skip
    claude = {"cache_read_input_tokens": 50, "cache_creation_input_tokens": 23}
    logs = [
        log,
        {
            **log,
            "request_id": "chatcmpl-2",
            "model": "claude-haiku-4-5",
            "metadata": {"additional_usage_values": claude},
        },
        {**log, "request_id": "chatcmpl-3", "metadata": None},
    ]
    arguments = ("--format", "litellm", "--map", "account=end_user")
    assert load(file("logs.json", json.dumps(logs)), *arguments)[0] == "3 added, 0 known already, 0 bad items."
    assert tokens() == [(200, 20, 800, 0), (927, 20, 50, 23), (1000, 20, 0, 0)]
    assert set(UsageEvent.objects.values_list("account", flat=True)) == {charlie.id}
    cell = json.dumps(log["metadata"]).replace('"', '""')
    table = (
        "request_id,startTime,model,prompt_tokens,completion_tokens,metadata,end_user\n"
        f'chatcmpl-1,2026-11-22 09:00:00.123,gpt-5,1000,20,"{cell}",{charlie.email}\n'
    )
    assert load(file("logs.csv", table), *arguments)[0].startswith("0 added, 1 known already")


def test_langfuse(alice: User, file: ForFile) -> None:  # M10
    generation = {
        "id": "g1", "traceId": "t", "type": "GENERATION", "name": "chat", "startTime": "2026-11-22T09:00:00.000Z",
        "endTime": "2026-11-22T09:00:01.000Z", "model": "gpt-5", "userId": None,
        "usageDetails": {
            "input": 200, "output": 15, "total": 1020, "input_cached_tokens": 800, "output_reasoning_tokens": 5,
        },
    }  # fmt: skip
    span = {**generation, "id": "s1", "type": "SPAN", "model": None, "usageDetails": {}}
    claude = {"input": 100, "output": 7, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 23}
    rows = [span, generation, {**generation, "id": "g2", "model": "claude-haiku-4-5", "usageDetails": claude}]
    arguments = (*ACCOUNT, "--format", "langfuse")
    for name, content in {"o.json": json.dumps(rows), "o.jsonl": "\n".join(map(json.dumps, rows))}.items():
        said, _ = load(file(name, content), *arguments)
        assert said.endswith(", 1 without a request.")
    assert tokens() == [(200, 20, 800, 0), (100, 7, 50, 23)]
    cell = json.dumps(generation["usageDetails"]).replace('"', '""')
    table = (
        "id,type,startTime,providedModelName,usageDetails\n"
        f's1,SPAN,2026-11-22T09:00:00Z,,"{{}}"\ng1,GENERATION,2026-11-22T09:00:00Z,gpt-5,"{cell}"\n'
    )
    said, _ = load(file("o.csv", table), *arguments)
    assert said == "0 added, 1 known already, 0 bad lines, 1 without a request."


def test_ccusage(alice: User, file: ForFile) -> None:  # M10
    haiku = {"inputTokens": 100, "outputTokens": 7, "cacheCreationTokens": 23, "cacheReadTokens": 50, "cost": 0.1}
    models = [
        {"modelName": "claude-haiku-4-5-20251001", **haiku},
        {"modelName": "claude-sonnet-4-5-20250929", **haiku, "inputTokens": 9},
    ]
    sums = {"inputTokens": 109, "outputTokens": 14, "cacheCreationTokens": 46, "cacheReadTokens": 100}
    arguments = (
        *ACCOUNT, "--format", "ccusage", "--time-zone", "Europe/Berlin", "--model-map",
        "claude-haiku-4-5-20251001=claude-haiku-4-5,claude-sonnet-4-5-20250929=claude-sonnet-4-5",
    )  # fmt: skip
    for day in ("date", "period"):
        report = {"daily": [{day: "2026-11-22", **sums, "modelBreakdowns": models}], "totals": sums}
        said, _ = load(file(f"{day}.json", json.dumps(report, indent=2)), *arguments)
        assert said == f"{2 * (day == 'date')} added, {2 * (day == 'period')} known already, 0 bad items."
    assert sorted(tokens()) == [(9, 7, 50, 23), (100, 7, 50, 23)]
    assert times() == ["2026-11-21T23:00:00"] * 2
    monthly = {"monthly": [{"month": "2026-10", **sums, "modelBreakdowns": models}], "totals": sums}
    assert "has no column" in refused(file("monthly.json", json.dumps(monthly)), *arguments)


def test_the_sums_of_a_day_are_not_those_of_its_models(alice: User, file: ForFile) -> None:  # M10
    day = {"date": "2026-03-01", "inputTokens": 11, "outputTokens": 10, "cacheReadTokens": 9_000_000}
    model = {"modelName": "gpt-5", "inputTokens": 11, "outputTokens": 10}
    days = [{**day, "modelBreakdowns": [model]}, {**day, "date": "2026-03-02", "modelBreakdowns": []}]
    path = file("usage.json", json.dumps({"daily": days}))
    said, bad = load_with_bad_lines(path, "--account", alice.email, "--format", "ccusage")
    assert said == "1 added, 0 known already, 1 bad items."
    assert bad == ["item 2: it has tokens, but no modelBreakdowns"]
    assert tokens() == [(11, 10, 0, 0)]
