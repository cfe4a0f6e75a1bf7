"""Files hold exactly the rows of the pages, run no formula, and are complete or not there at all."""

from __future__ import annotations

import csv
import http.client
import io
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Event
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.db import OperationalError, connection, transaction
from django.test import Client

from credits.ledger import grants
from credits.models import AIModel, Grant, ModelPrice, UsageEvent
from credits.reports import csv_export
from credits.reports.spans import Span
from credits.usage import recording
from sidekick.accounts.models import User
from sidekick.database import snapshot
from sidekick.formatting import FORMULA_FIRST, FORMULA_FURTHER, csv_safe
from tests.benchmarks.bench import cookies, served
from tests.benchmarks.exports import download as whole
from tests.benchmarks.exports import peak
from tests.credits.books import NOW, at_once, event
from tests.credits.pages.test_queries import fill
from tests.sidekick.test_formatting import FORMULAS, HARMLESS, UNSEEN

pytestmark = pytest.mark.django_db
SignIn = Callable[[Client, User], None]
DAY = timedelta(days=1)
REQUESTS, MODELS, HISTORY = (f"/dashboard/credits/{name}.csv" for name in ("requests", "models", "history"))
EVERYTHING = Span(datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))


@pytest.fixture(autouse=True)
def clock(request: pytest.FixtureRequest) -> Iterator[time_machine.Traveller | None]:
    cache.clear()
    if "server" in request.fixturenames:
        yield None
        return
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def used(alice: User) -> User:
    """45 requests over three days, by three models."""
    models = ["claude-sonnet-4-5", "gpt-5", "gpt-5-mini"]
    requests = [
        event(alice, f"r{n:02d}", model=models[n % 3], occurred_at=NOW - timedelta(minutes=97 * n), input_tokens=7 * n)
        for n in range(45)
    ]
    assert recording.record(requests, now=NOW).accepted == 45
    return alice


def lines(client: Client, path: str) -> list[dict[str, str]]:
    response = client.get(path)
    assert response.status_code == 200, response.headers
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    body = b"".join(response)
    assert int(response.headers["Content-Length"]) == len(body)
    return rows_of(body)


def rows_of(body: bytes) -> list[dict[str, str]]:
    assert body.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline="")))


def test_requests_are_all_there_exactly(browser: Client, used: User) -> None:  # C7 M6
    stored = list(UsageEvent.objects.filter(account=used.id).order_by("-occurred_at").select_related("model"))
    assert lines(browser, REQUESTS) == [
        {
            "Time (UTC)": row.occurred_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "Model": row.model.name,
            "Input": str(row.input_tokens),
            "Output": str(row.output_tokens),
            "Cache read": str(row.cache_read_tokens),
            "Cache write": str(row.cache_write_tokens),
            "Tokens": str(row.input_tokens + row.output_tokens + row.cache_read_tokens + row.cache_write_tokens),
            "Credits": f"{row.credits:.6f}",
            "Request": row.request_id,
        }
        for row in stored
    ]


def test_files_follow_the_filters(browser: Client, used: User) -> None:  # C5 C7
    day = NOW.date() - DAY
    query = f"?range=custom&from={day}&to={day}&model=gpt-5"
    wanted = UsageEvent.objects.filter(account=used.id, model__name="gpt-5", occurred_at__date=day)
    assert [row["Request"] for row in lines(browser, REQUESTS + query)] == list(
        wanted.order_by("-occurred_at").values_list("request_id", flat=True)
    )
    assert len(wanted) > 3
    (only,) = lines(browser, MODELS + query)
    assert (only["Model"], only["Requests"]) == ("gpt-5", str(len(wanted)))
    assert Decimal(only["Credits"]) == sum(row.credits for row in wanted)
    name = browser.get(REQUESTS + query).headers["Content-Disposition"]
    assert name == f'attachment; filename="sidekick-requests-{day}-to-{day}.csv"'


def test_models_and_requests_add_up_to_the_same(browser: Client, used: User) -> None:  # C7
    by_model, by_request = lines(browser, MODELS), lines(browser, REQUESTS)
    for column in ("Input", "Output", "Cache read", "Cache write", "Credits"):
        assert sum(Decimal(row[column]) for row in by_model) == sum(Decimal(row[column]) for row in by_request)


def test_history_has_moments_of_utc_and_days_of_the_account(browser: Client, used: User) -> None:  # C7 C8
    User.objects.filter(id=used.id).update(time_zone="Asia/Kathmandu")
    grants.grant(used.id, Decimal("12.5"), kind=Grant.Kind.PURCHASED, source_key="buy", now=NOW)
    newest, bought, *_ = lines(browser, HISTORY)
    assert (newest["What"], newest["Time (UTC)"], newest["Day (Asia/Kathmandu)"]) == ("Used", "", "2026-05-10")
    assert bought == {
        "Time (UTC)": "2026-05-10T12:07:30.000000Z",
        "Day (Asia/Kathmandu)": "2026-05-10",
        "What": "Bought 12.50 credits",
        "Detail": "they never expire",
        "Credits": "12.500000",
        "Balance": bought["Balance"],
    }
    remaining = sum(Grant.objects.filter(account=used).values_list("remaining", flat=True))
    assert Decimal(newest["Balance"]) == remaining


@pytest.mark.parametrize("text", FORMULAS)
def test_nothing_from_outside_runs_as_a_formula(browser: Client, alice: User, text: str) -> None:  # C7
    """In a file of commas, and in one that a spreadsheet of another country takes apart at semicolons."""
    price: dict[str, Any] = dict.fromkeys(("input", "output", "cache_read", "cache_write"), Decimal(20))
    ModelPrice.objects.create(model=AIModel.objects.create(name=text), valid_from=NOW - DAY, **price)
    assert recording.record([event(alice, text, model=text)], now=NOW).accepted == 1
    (row,), (model,) = lines(browser, REQUESTS), lines(browser, MODELS)
    for cell in (row["Request"], row["Model"], model["Model"]):
        assert cell.replace("'", "") == text
        for part in re.split(r"[;|\t\r\n]", cell):
            assert not re.match(r'["\s]*[=+\-@＝＋－＠]', part)


@pytest.mark.parametrize("text", HARMLESS)
def test_other_words_are_left_as_they_are(browser: Client, alice: User, text: str) -> None:  # C7
    assert recording.record([event(alice, text)], now=NOW).accepted == 1
    assert lines(browser, REQUESTS)[0]["Request"] == text


def test_a_file_that_postgresql_writes_is_guarded_like_the_others(alice: User) -> None:  # C7
    """Python and PostgreSQL read the same expressions alike: each unseen character before each sign."""
    cells = [
        *FORMULAS,
        *HARMLESS,
        *(f"{before}{sign}1" for before in map(chr, UNSEEN) for sign in "=+-@＝＋－＠﹦﹢﹣﹫"),
    ]
    cells = [cell.replace("\0", "") for cell in cells]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {csv_export.safe_column('cell')} FROM unnest(%(cells)s::text[]) WITH ORDINALITY AS c(cell, place)"
            " ORDER BY place",
            {"cells": cells, "first": FORMULA_FIRST, "further": FORMULA_FURTHER},
        )
        assert [cell for (cell,) in cursor.fetchall()] == list(map(csv_safe, cells))


def test_negative_numbers_of_ours_stay_numbers(browser: Client, used: User) -> None:  # C7
    assert all(Decimal(row["Credits"]) for row in lines(browser, HISTORY))


def test_a_stranger_gets_their_own(client: Client, used: User, charlie: User, sign_in: SignIn) -> None:  # B10
    sign_in(client, charlie)
    assert lines(client, f"{REQUESTS}?account={used.id}") == lines(client, MODELS) == []
    assert [row["What"] for row in lines(client, HISTORY)] == ["Free plan"]


@pytest.mark.parametrize("path", [REQUESTS, MODELS, HISTORY])
def test_a_visitor_signs_in_first(client: Client, path: str) -> None:  # N1
    assert client.get(path).headers["Location"].startswith("/accounts/login/?next=%2Fdashboard%2Fcredits%2F")


def test_there_are_no_other_files_and_no_other_verbs(browser: Client) -> None:
    assert browser.get("/dashboard/credits/balance.csv").status_code == 404
    assert browser.post(REQUESTS).status_code == browser.head(REQUESTS).status_code == 405


@pytest.mark.parametrize("path", [REQUESTS, MODELS, HISTORY])
def test_filters_that_make_no_sense_lead_back_to_the_page(browser: Client, used: User, path: str) -> None:  # C5 C7
    response = browser.get(f"{path}?range=custom&from=2026-05-09&to=2026-05-01", follow=True)
    assert response.status_code == 422
    assert "The first day must not be after the last" in response.content.decode()


def test_more_than_a_spreadsheet_holds_is_refused(
    browser: Client, used: User, monkeypatch: pytest.MonkeyPatch
) -> None:  # C7
    monkeypatch.setattr(csv_export, "MOST_ROWS", 44)
    html = browser.get(REQUESTS, follow=True).content.decode()
    assert "That is 45 requests, and a spreadsheet holds 44. Choose fewer days." in html
    assert len(lines(browser, f"{REQUESTS}?model=gpt-5")) == 15
    assert len(lines(browser, MODELS)) == 3


def test_ten_files_a_minute_are_enough(browser: Client, used: User, charlie: User, sign_in: SignIn) -> None:  # C7
    assert [browser.get(REQUESTS).status_code for _ in range(11)] == [200] * 10 + [429]
    other = Client()
    sign_in(other, charlie)
    assert other.get(REQUESTS).status_code == 200


def test_an_account_s_files_are_made_one_after_the_other(
    browser: Client, used: User, charlie: User, sign_in: SignIn
) -> None:  # C7
    """Many exports at once keep only one thread of the server busy."""
    begun, done = Event(), Event()

    def make() -> None:
        with transaction.atomic():
            assert csv_export.try_lock(used.id)
            begun.set()
            assert done.wait(20)

    with ThreadPoolExecutor(1) as threads:
        making = threads.submit(in_own_connection, make)
        assert begun.wait(20)
        html = browser.get(MODELS + "?model=gpt-5", follow=True).content.decode()
        assert "Your other file is still being made. Try again in a moment." in html
        other = Client()
        sign_in(other, charlie)
        assert other.get(REQUESTS).status_code == 200
        done.set()
        making.result()
    assert len(lines(browser, REQUESTS)) == 45


def in_own_connection(work: Callable[[], None]) -> None:
    try:
        work()
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_database_that_goes_away_leaves_no_file(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:  # C7
    """The connection ends after the first blocks: the error is raised, and the next export works again."""
    fill(alice, 50_000, days=9)
    connection.ensure_connection()
    breaking = _breaks_after_the_first_block(connection.connection.info.backend_pid)
    monkeypatch.setattr(csv_export, "_file", breaking)
    with pytest.raises(OperationalError), snapshot():
        csv_export.requests(alice.id, EVERYTHING)
    monkeypatch.undo()
    with snapshot():
        assert csv_export.requests(alice.id, EVERYTHING).tell() > 1_000_000


def _breaks_after_the_first_block(pid: int) -> Callable[[], Any]:
    class File(io.BytesIO):
        def write(self, block: Any) -> int:
            if not self.getvalue():
                at_once([lambda: _terminate(pid)])
            return super().write(block)

    return File


def _terminate(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])


# A real server ----------------------------------------------------------------------------------------------------


@pytest.fixture
def server(transactional_db: None) -> Iterator[int]:
    parts = connection.get_connection_params()
    names = ("host", "port", "user", "password", "dbname")
    url = " ".join(f"{name}={parts[name]}" for name in names if parts.get(name))
    with served(url) as port:
        yield port


def download(port: int, account: User, path: str) -> http.client.HTTPResponse:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    client.request("GET", path, headers=cookies(account))
    return client.getresponse()


@pytest.mark.django_db(transaction=True)
def test_a_large_file_takes_no_more_memory_than_a_small_one(server: int, alice: User, charlie: User) -> None:  # C7
    """Measured in a process that has sent a small file. `make bench` does the same with a million rows."""
    fill_at(NOW, alice, 10_000)
    fill_at(NOW, charlie, 200_000)
    small = whole(server, cookies(alice), ALL_REQUESTS)
    before = peak(server).resident
    large = whole(server, cookies(charlie), ALL_REQUESTS)
    assert (small.rows, large.rows) == (10_001, 200_001)
    assert large.length > 12_000_000
    assert peak(server).resident - before < 2


@pytest.mark.django_db(transaction=True)
def test_a_file_that_can_t_be_finished_is_an_error(server: int, alice: User) -> None:  # C7
    """Its connection to the database is ended while the file is made; the next file is complete."""
    fill_at(NOW, alice, 100_000)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(download, server, alice, ALL_REQUESTS)
        terminate_whoever_copies()
        assert asked.result().status >= 500
    assert len(rows_of(download(server, alice, ALL_REQUESTS).read())) == 100_001


ALL_REQUESTS = f"{REQUESTS}?range=custom&from=2026-01-01&to=2026-12-31"


def fill_at(moment: datetime, user: User, count: int) -> None:
    with time_machine.travel(moment, tick=False):
        fill(user, count)


def terminate_whoever_copies() -> None:
    with connection.cursor() as cursor:
        for _ in range(1000):
            cursor.execute(
                "SELECT pg_terminate_backend(pid), pg_sleep(0.01) FROM pg_stat_activity"
                " WHERE datname = current_database() AND state = 'active' AND ltrim(query, E' \\n') LIKE 'COPY%'"
            )
            if cursor.fetchall():
                return
            cursor.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("Nobody copied anything.")
