"""`import_usage --dry-run` says what a load would do, and does nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credits.models import CreditPeriod, Grant, LedgerEntry, UsageEvent, UsageRollup, Wallet
from credits.usage.schemas import MOST_EVENTS
from sidekick.accounts.models import User
from tests.credits.usage.conftest import ForFile
from tests.credits.usage.imports import load, load_with_bad_lines

pytestmark = pytest.mark.django_db
HEADER = "request_id,account,occurred_at,model,input_tokens,output_tokens,note\n"


def rows(alice: User, charlie: User) -> Iterator[str]:
    yield f"a,{alice.email},2026-02-01T00:00:00Z,gpt-5,1000000,0,x\n"
    yield f"a,{alice.email},2026-02-01T00:00:00Z,gpt-5,1000000,0,x\n"
    yield f"a,{alice.email},2026-02-01T00:00:00Z,gpt-5,1000001,0,x\n"
    yield f"b,{alice.email},2025-02-01T00:00:00Z,gpt-5,1000000,0,x\n"
    yield f"c,{charlie.email},2026-02-01T00:00:00Z,gpt-5,2000000,0,x\n"
    yield f"d,{charlie.email},2026-02-01T00:00:00Z,gpt-2,1,0,x\n"
    for number in range(MOST_EVENTS):
        yield f"e{number},{charlie.id},2026-02-02T00:00:00Z,gpt-5,0,0,x\n"
    yield f"e0,{charlie.id},2026-02-02T00:00:00Z,gpt-5,0,0,x\n"
    yield f"e1,{charlie.id},2026-02-02T00:00:00Z,gpt-5,0,1,x\n"


def traces() -> list[int]:
    return [model.objects.count() for model in (UsageEvent, UsageRollup, Wallet, CreditPeriod, Grant, LedgerEntry)]


def test_a_dry_run_tells_what_a_load_then_does(alice: User, charlie: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", HEADER + "".join(rows(alice, charlie)))
    before = traces()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        said, bad = load_with_bad_lines(path, "--dry-run")
    assert traces() == before
    assert {query["sql"].split()[0] for query in queries} == {"SELECT"}
    assert not [query for query in queries if "FOR UPDATE" in query["sql"]]
    counts, *more = said.splitlines()
    assert more[:2] == [
        "charlie@example.com: 1,001 requests, 50.000000 credits; it has 0.000000 now.",
        "alice@example.com: 1 request, 25.000000 credits; it has 0.000000 now.",
    ]
    assert "alice@example.com signed up at 2026-01-31 09:30 UTC: line 5" in said
    assert more[-1] == "Columns that are not read: note."
    done, same = load_with_bad_lines(path, "--before-sign-up", "skip")
    assert counts == f"Would be: {done}"
    assert done == "1,002 added, 2 known already, 3 bad lines, 1 left out as from before sign-up."
    assert bad == same
    again, _ = load_with_bad_lines(path, "--dry-run", "--before-sign-up", "charge")
    assert again.startswith("Would be: 1 added, 1,004 known already, 3 bad lines.")


def test_a_dry_run_of_good_lines_succeeds(alice: User, charlie: User, file: ForFile) -> None:  # M10
    path = file("usage.csv", HEADER + "".join(list(rows(alice, charlie))[:2]))
    assert load(path, "--dry-run")[0].startswith("Would be: 1 added, 1 known already, 0 bad lines.\n")
    assert not UsageEvent.objects.exists()
