"""A page costs the same few queries, whatever the account's history, and none walks over requests."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from credits.models import UsageEvent
from credits.reports import timeseries, usage
from sidekick.accounts.models import User
from tests.credits.books import NOW, at_once, use

SignIn = Callable[[Client, User], None]
PAGES = {
    "newest": "/dashboard/credits",
    "fifth": "/dashboard/credits?page=5",
    "filtered": "/dashboard/credits?range=90d&model=gpt-5&page=2",
    "custom": "/dashboard/credits?range=custom&from=2026-05-01&to=2026-05-10&page=3",
    "models": "/dashboard/credits/models",
    "history": "/dashboard/credits/history",
    "balance": "/dashboard/credits/balance",
}
# The session with its user; the balance; the sums and the page's rows; on first pages the chart; of history the
# ledger, the days, and the usage after them. What is live on a page costs what its page does (C12). A snapshot's BEGIN
# and COMMIT come on top.
QUERIES = {"newest": 4, "fifth": 3, "filtered": 3, "custom": 3, "models": 4, "history": 5, "balance": 4}


@pytest.fixture(autouse=True)
def _at_noon() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def fill(user: User, count: int, *, days: int = 30) -> None:
    """Insert so many requests, with the rollups that metering would have made, in a second or two."""
    use(user, 1)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO credits_usageevent (account_id, request_id, model_id, occurred_at, input_tokens, output_tokens,
                cache_read_tokens, cache_write_tokens, credits)
            SELECT %(account)s, 'bulk_' || lpad(n::text, 8, '0'), m.ids[1 + n %% array_length(m.ids, 1)],
                %(now)s - make_interval(secs => n * %(pace)s), n %% 5000, n %% 700, 0, 0, (n %% 5000) * 0.000020
            FROM generate_series(1, %(count)s) n, (SELECT array_agg(id ORDER BY id) AS ids FROM credits_aimodel) m
            """,
            {"account": user.id, "now": NOW, "count": count, "pace": days * 86_400 / count},
        )
        cursor.execute(
            """
            INSERT INTO credits_usagerollup AS u (account_id, grain, bucket, model_id, requests, input_tokens,
                output_tokens, cache_read_tokens, cache_write_tokens, credits)
            SELECT account_id, g, date_bin(make_interval(mins => g), occurred_at, to_timestamp(0)), model_id, count(*),
                sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(credits)
            FROM credits_usageevent, (VALUES (15), (1440)) AS grains(g)
            WHERE account_id = %s AND request_id LIKE 'bulk_%%'
            GROUP BY 1, 2, 3, 4
            ON CONFLICT (account_id, grain, bucket, model_id) DO UPDATE SET requests = u.requests + excluded.requests,
                input_tokens = u.input_tokens + excluded.input_tokens, credits = u.credits + excluded.credits
            """,
            [user.id],
        )
        cursor.execute("ANALYZE credits_usageevent, credits_usagerollup")


def queries_of(client: Client, path: str) -> list[str]:
    client.get(path)
    with CaptureQueriesContext(connection) as captured:
        response = client.get(path)
    assert response.status_code == 200
    return [query["sql"] for query in captured.captured_queries]


@pytest.mark.django_db
@pytest.mark.parametrize("count", [150, 100_000])
def test_a_page_asks_the_same_few_queries_at_any_size(
    client: Client, alice: User, sign_in: SignIn, count: int
) -> None:  # C3
    fill(alice, count, days=9)
    sign_in(client, alice)
    asked = {name: queries_of(client, path) for name, path in PAGES.items()}
    assert {name: len(queries) for name, queries in asked.items()} == QUERIES


@pytest.mark.django_db(transaction=True)
def test_with_its_snapshot_a_page_takes_two_statements_more(
    client: Client, alice: User, sign_in: SignIn
) -> None:  # C3 C10
    fill(alice, 150, days=9)
    sign_in(client, alice)
    for name, path in PAGES.items():
        assert len(queries_of(client, path)) <= QUERIES[name] + 2


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


@pytest.mark.django_db
@pytest.mark.parametrize("page", [1, 5, 2500, 5000])
@pytest.mark.parametrize("model", ["", "&model=gpt-5"])
def test_a_far_page_touches_hardly_more_than_its_rows(
    client: Client, alice: User, sign_in: SignIn, page: int, model: str
) -> None:  # C3
    """No OFFSET and no COUNT walks over requests: EXPLAIN says how many rows were read."""
    fill(alice, 100_000)
    sign_in(client, alice)
    number = min(page, 833) if model else page
    path = f"/dashboard/credits?range=90d&page={number}{model}"
    assert b"<time" in client.get(path).content
    selects = [sql for sql in queries_of(client, path) if "credits_usageevent" in sql]
    assert selects
    for sql in selects:
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql)
            plan = cursor.fetchone()[0][0]["Plan"]
        read = [node for node in nodes(plan) if node.get("Relation Name") == "credits_usageevent"]
        rows = sum((n["Actual Rows"] + n.get("Rows Removed by Filter", 0)) * n["Actual Loops"] for n in read)
        assert rows < 1000, plan


@pytest.mark.django_db(transaction=True)
def test_a_page_shows_one_state_while_usage_comes_in(
    client: Client, alice: User, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:  # C10
    """A request recorded by somebody else after the cards were read is not yet among the rows below them."""
    use(alice, 1)
    sign_in(client, alice)
    ticks = itertools.count(1)
    for module, name in ((usage, "usage_page"), (usage, "usage_by_model"), (timeseries, "usage_between")):
        read = getattr(module, name)

        def meanwhile(*args: Any, read: Callable[..., Any] = read, **kwargs: Any) -> Any:
            moment = NOW + timedelta(seconds=next(ticks))
            at_once([lambda: use(alice, 1, now=moment)])
            return read(*args, **kwargs)

        monkeypatch.setattr(module, name, meanwhile)
    for path in ("/dashboard/credits", "/dashboard/credits/models"):
        before = UsageEvent.objects.count()
        html = client.get(path).content.decode()
        assert UsageEvent.objects.count() > before
        drawn, rows = html.split("</figure>")
        shown = re.findall(r'data-label="Credits" title="([\d.]+)"', rows.split("<tfoot>")[0])
        charted = re.findall(r'data-label="Credits" title="([\d.]+)"', drawn)
        used = re.search(r'Used Credits</h2>.*?title="([\d.]+)"', html, re.S)
        assert used
        assert float(used[1]) == sum(map(float, shown)) == sum(map(float, charted)) == before
    before, html = UsageEvent.objects.count(), client.get("/dashboard/credits/history").content.decode()
    assert UsageEvent.objects.count() > before
    balances = re.findall(r'data-label="Balance" title="([\d.]+)"', html)
    assert (float(balances[0]), float(balances[-1])) == (50 - before, 50)


@pytest.mark.django_db
def test_an_account_with_nothing_is_asked_once_more_whether_it_ever_had_any(
    client: Client, alice: User, sign_in: SignIn
) -> None:
    sign_in(client, alice)
    for path in PAGES.values():
        if "page" not in path:
            assert len(queries_of(client, path)) <= 5
