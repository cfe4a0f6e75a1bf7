"""Made-up ids: the same for the same usage, and for the same sum."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from credits.models import UsageEvent
from sidekick.accounts.models import User
from tests.conftest import UNKNOWN_ID
from tests.credits.usage.conftest import ForFile
from tests.credits.usage.imports import load, load_with_bad_lines, used

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("older")]
SUMS = ("--account", "alice@example.com", "--format", "openai")


def page(*projects: str, **changes: Any) -> str:
    """A page of OpenAI's sums of 16 November 2023, one for each project."""
    sums = {"model": "gpt-5", "input_tokens": 1000, "output_tokens": 20, "input_cached_tokens": 800, **changes}
    results = [{**sums, "project_id": project} for project in projects]
    return json.dumps({"data": [{"start_time": 1_700_092_800, "end_time": 1_700_179_200, "results": results}]})


def test_made_up_ids_stay_as_they_were(db: None, file: ForFile) -> None:  # M10
    """Files loaded by an earlier release must stay known."""
    User.objects.create_user("bob@example.com", id=UNKNOWN_ID, date_joined=datetime(2020, 1, 1, tzinfo=UTC))
    content = (
        "account,model,occurred_at,input_tokens,output_tokens,cache_read_tokens,cache_write_tokens\n"
        f"{UNKNOWN_ID},gpt-5,2024-03-10 12:00:00.1234567,100,7,0,2\n"
    )
    path = file("usage.csv", content)
    load(path)
    load(path, "--time-zone", "America/New_York")
    assert set(UsageEvent.objects.values_list("request_id", flat=True)) == {
        "import_0065eda0c0_3be2f8efe3999891dc80ccc3_1",
        "import_0065edd900_73f221ec77c8f42e952d01e8_1",
    }


def test_a_sum_that_has_grown_is_a_bad_line(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.json", page("p", "q"))
    load(path, *SUMS)
    path.write_text(page("p", "q", output_tokens=21))
    said, bad = load_with_bad_lines(path, *SUMS)
    assert said == "0 added, 0 known already, 2 bad items."
    assert bad[0].startswith("item 1: conflict: it was recorded with other figures before")
    assert used() == Decimal("0.022000")


def test_a_sum_twice_in_a_file_is_a_bad_line(alice: User, file: ForFile) -> None:  # M10
    path = file("usage.json", page("p", "p"))
    said, bad = load_with_bad_lines(path, *SUMS)
    assert (said.split(",")[0], bad[0][:48]) == ("1 added", "item 2: an earlier line is about the same time a")
