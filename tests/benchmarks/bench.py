"""`make bench`: what is claimed about speed, measured as ratios within one run.

The machine is shared and noisy, so both sides of a ratio take turns, and medians are compared. Everything runs
against a real PostgreSQL in a database of its own, and pages and API are asked over HTTP from granian.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.test.utils import setup_databases, teardown_databases
from pydantic import TypeAdapter

from credits.ledger import periods
from credits.usage import recording as usage_recording
from credits.usage.schemas import Event
from sidekick.accounts import device_sessions, tokens
from sidekick.accounts.models import ServiceKey, User
from tests import proxy
from tests.benchmarks import exports, slow, webhooks
from tests.benchmarks.slow import Door, Times

BATCHES = 60
PAGE_ROUNDS = 40
PAGES_A_ROUND = 20
EXPORTED = 1_000_000
SIDEKICK = "sidekick"
MODELS = ("claude-haiku-4-5", "claude-opus-4-1", "claude-sonnet-4-5", "gemini-2.5-pro", "gpt-5", "gpt-5-mini")
NOW = datetime.now(UTC).replace(microsecond=0)
EVENTS = TypeAdapter(list[Event])


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def verdict(name: str, ratio: float, aim: str, met: bool) -> None:
    say(f"{name:<72} {ratio:5.2f}   aim {aim}{'' if met else '   NOT MET'}")


def main(chosen: list[str]) -> None:
    """Measure these `PARTS`, or all of them."""
    unknown = set(chosen) - PARTS.keys()
    if unknown:
        sys.exit(f"There is no {', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}.")
    connection.settings_dict["TEST"]["NAME"] = "bench_sidekick"
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        for name, measure in PARTS.items():
            if not chosen or name in chosen:
                measure(_url())
    finally:
        teardown_databases(databases, verbosity=0)


def _webhooks(url: str) -> None:
    with served(url, workers=2) as app:
        bench_webhooks(app)


def _pages(url: str) -> None:
    with served(url) as app, served(url, "tests.benchmarks.wsgi:application") as bare:
        bench_metering(app)
        bench_pages(app, bare)


def _files(url: str) -> None:
    with served(url) as app:
        bench_exports(app)


# Metering -------------------------------------------------------------------------------------------------------


def bench_metering(port: int) -> None:
    """1,000 events a call, for 20 accounts and 6 models, ids that grow with time, as a backend should send them."""
    accounts = [make_user(f"metered{number}@example.com") for number in range(20)]
    _, secret = ServiceKey.objects.issue("bench", scopes=ServiceKey.Scope.values)
    bodies = [_batch(accounts, number) for number in range(2 * BATCHES)]
    parsed = [EVENTS.validate_python(json.loads(body, object_hook=_with_moment)["events"]) for body in bodies]
    copied = [_copy_rows(events) for events in parsed]
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bare (LIKE credits_usageevent)")
        cursor.execute("ALTER TABLE bare ADD PRIMARY KEY (account_id, request_id)")
        cursor.execute("CREATE INDEX ON bare (account_id, occurred_at DESC, request_id DESC)")
    client = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    copying, recording, posting = [], [], []
    for number in range(BATCHES):
        copying.append(timed(_copy, copied[number]))
        recording.append(timed(_record, parsed[number]))
        posting.append(timed(_post, client, bodies[BATCHES + number], headers))
    warm = slice(5, None)
    copy, record, post = (statistics.median(times[warm]) for times in (copying, recording, posting))
    say(
        f"\nMetering, 1,000 events a transaction: COPY {copy * 1000:.1f} ms, record() {record * 1000:.1f} ms "
        f"({1000 / record:,.0f} events/s), over HTTP {post * 1000:.1f} ms"
    )
    verdict(
        "record() ÷ COPY into a bare table with the same two indexes", copy / record, "≥ 0.25", copy / record >= 0.25
    )
    verdict("POST /api/v1/usage ÷ record()", record / post, "≥ 0.50", record / post >= 0.5)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE credits_usageevent")
        cursor.execute("SELECT pg_total_relation_size('credits_usageevent') / count(*) FROM credits_usageevent")
        say(f"A stored request takes {cursor.fetchone()[0]} bytes with its indexes (aim: 200 at most)")


def _batch(accounts: list[User], number: int) -> bytes:
    dice = random.Random(number)
    start = NOW - timedelta(hours=2) + timedelta(seconds=number * 10)
    events = [
        {
            "request_id": f"req_{int(start.timestamp() * 1000) + place:012x}{dice.getrandbits(40):010x}",
            "account": str(dice.choice(accounts).id),
            "model": dice.choice(MODELS),
            "occurred_at": (start + timedelta(milliseconds=10 * place)).isoformat(),
            "input_tokens": dice.randrange(20_000),
            "output_tokens": dice.randrange(2_000),
            "cache_read_tokens": dice.choice((0, dice.randrange(50_000))),
            "cache_write_tokens": 0,
            "hold": None,
        }
        for place in range(1000)
    ]
    return json.dumps({"events": events}).encode()


def _with_moment(item: dict[str, object]) -> dict[str, object]:
    if "occurred_at" in item:
        item["occurred_at"] = datetime.fromisoformat(str(item["occurred_at"]))
    return item


def _copy_rows(events: list[Event]) -> list[tuple[object, ...]]:
    return [
        (
            e["occurred_at"],
            e["account"],
            1,
            e["input_tokens"],
            e["output_tokens"],
            e["cache_read_tokens"],
            e["cache_write_tokens"],
            e["request_id"],
            Decimal("1.234567"),
        )
        for e in events
    ]


def _copy(rows: list[tuple[object, ...]]) -> None:
    statement = """COPY bare (occurred_at, account_id, model_id, input_tokens, output_tokens, cache_read_tokens,
        cache_write_tokens, request_id, credits) FROM STDIN"""
    with transaction.atomic(), connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _record(events: list[Event]) -> None:
    assert usage_recording.record(events).accepted == 1000


def _post(client: http.client.HTTPConnection, body: bytes, headers: dict[str, str]) -> None:
    client.request("POST", "/api/v1/usage", body, headers)
    answer = json.loads(client.getresponse().read())
    assert answer["accepted"] == 1000, answer


# Pages ----------------------------------------------------------------------------------------------------------


def bench_pages(app: int, bare: int) -> None:
    small, large = make_user("small@example.com"), make_user("large@example.com")
    for user, count in ((small, 10_000), (large, 2_000_000)):
        periods.open_due([user.id], NOW)
        _fill(user, count)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    asks = {
        "bare": asking(bare, f"/{small.id}", {}),
        "page 1 of 10,000": asking(app, "/dashboard/credits", cookies(small)),
        "last page of 10,000": asking(app, "/dashboard/credits?page=500", cookies(small)),
        "page 1 of 2,000,000": asking(app, "/dashboard/credits", cookies(large)),
        "page 5,000 of 2,000,000": asking(app, "/dashboard/credits?page=5000", cookies(large)),
    }
    times: dict[str, list[float]] = {name: [] for name in asks}
    for turn in range(PAGE_ROUNDS):
        for name, ask in asks.items():
            took = timed(_often, ask) / PAGES_A_ROUND
            if turn:
                times[name].append(took)
    middle = {name: statistics.median(values) for name, values in times.items()}
    say("\nPages: " + ", ".join(f"{name} {value * 1000:.2f} ms" for name, value in middle.items()))
    page = middle["page 1 of 10,000"]
    verdict("Credits page requests/s ÷ bare view's", middle["bare"] / page, "≥ 0.75", middle["bare"] / page >= 0.75)
    for name, base in (
        ("page 1 of 2,000,000", "page 1 of 10,000"),
        ("page 5,000 of 2,000,000", "page 1 of 10,000"),
        ("page 5,000 of 2,000,000", "last page of 10,000"),
    ):
        growth = middle[name] / middle[base]
        verdict(f"{name} ÷ {base}", growth, "≤ 1.15", growth <= 1.15)


def _fill(user: User, count: int) -> None:
    """Spread over the current period as real use is, straight into the tables: what `record` would have left there."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO credits_usageevent (account_id, request_id, model_id, occurred_at, input_tokens,
                output_tokens, cache_read_tokens, cache_write_tokens, credits)
            SELECT p.account_id, 'req_' || lpad(n::text, 12, '0'), m.id,
                p.starts_at + (%(now)s - p.starts_at) * (n::float / %(count)s), 1000 + n %% 900, 200, 0, 0, 0.123456
            FROM credits_creditperiod p, generate_series(0, %(count)s - 1) AS n,
                LATERAL (SELECT id FROM credits_aimodel ORDER BY id OFFSET n %% 6 LIMIT 1) m
            WHERE p.account_id = %(account)s
            """,
            {"account": user.id, "count": count, "now": NOW},
        )
        cursor.execute(
            """
            INSERT INTO credits_usagerollup (account_id, grain, bucket, model_id, requests, input_tokens,
                output_tokens, cache_read_tokens, cache_write_tokens, credits)
            SELECT account_id, grain, date_bin(make_interval(mins => grain), occurred_at, to_timestamp(0)), model_id,
                count(*), sum(input_tokens), sum(output_tokens), 0, 0, sum(credits)
            FROM credits_usageevent, (VALUES (15), (1440)) AS g(grain)
            WHERE account_id = %(account)s GROUP BY 1, 2, 3, 4
            """,
            {"account": user.id},
        )


def cookies(user: User) -> dict[str, str]:
    """Return the headers of a browser that has been here before."""
    pair = device_sessions.start(user, ip="127.0.0.1", user_agent="bench")
    csrf = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=32))
    cookies = {tokens.ACCESS_COOKIE: pair.access, tokens.REFRESH_COOKIE: pair.refresh, "csrftoken": csrf}
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


def asking(port: int, path: str, headers: dict[str, str]) -> Callable[[], None]:
    client = http.client.HTTPConnection("127.0.0.1", port)

    def ask() -> None:
        client.request("GET", path, headers=headers)
        answer = client.getresponse()
        page = answer.read()
        assert answer.status == 200, (path, answer.status)
        assert page.count(b"<tr>") > 20, path

    return ask


# Files ----------------------------------------------------------------------------------------------------------


def bench_exports(port: int) -> None:
    """A million requests as a CSV file, from a process that has served pages and a small file before."""
    user = make_user("exporter@example.com")
    periods.open_due([user.id], NOW)
    exports.download(port, cookies(user))
    _fill(user, EXPORTED)
    asking(port, "/dashboard/credits", cookies(user))()
    before = exports.peak(port)
    made = exports.download(port, cookies(user))
    after = exports.peak(port)
    assert made.rows == EXPORTED, f"{made.rows} of {EXPORTED} requests are in the file"
    say(
        f"\nA file of {made.rows:,} requests, {made.length / 1e6:.0f} MB, in {made.seconds:.1f} s; "
        f"its last line: {made.last_line}"
    )
    grown = after.resident - before.resident
    verdict("What the file takes of its process's memory, in MiB", grown, "≤ 2", grown <= 2)
    verdict("The process at its peak, in MiB, its own memory", after.own, "< 100", after.own < 100)
    shared = "The same with the code of libraries, which processes share (RSS)"
    verdict(shared, after.resident, "< 100", after.resident < 100)


# Webhooks -------------------------------------------------------------------------------------------------------


def bench_webhooks(port: int) -> None:
    middle, slow = webhooks.measure(port)
    say(f"\nWebhooks, {webhooks.A_SECOND} a second: median {middle * 1000:.1f} ms")
    verdict("99th percentile, in ms", slow * 1000, "≤ 50", slow <= 0.05)


# Slow company ---------------------------------------------------------------------------------------------------


def bench_slow(url: str) -> None:
    """A page's time beside slow company ÷ its usual time, and the slowest `/healthz`, with two processes."""
    user = make_user("unhurried@example.com")
    periods.open_due([user.id], NOW)
    _fill(user, 60_000)
    headers = cookies(user)
    customers = [make_user(f"buyer{number}@example.com") for number in range(slow.CUSTOMERS)]
    # They have seen their credits before they buy.
    periods.open_due([customer.id for customer in customers], NOW)
    buyers = [buying(customer) for customer in customers]
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    say("\nSlow company: a page ÷ its usual time, and the slowest /healthz")
    with slow.silent_paddle() as paddle, served(url, workers=2, PADDLE_SIMULATOR_URL=paddle) as app:
        door = Door(app)
        _compare(
            f"{slow.CUSTOMERS} press Purchase, Paddle never answers",
            door,
            headers,
            lambda: slow.purchases(door, buyers),
        )
    with served(url, workers=2) as app:
        _beside_all(Door(app), headers, "")
        if proxy.is_installed():
            # They all come from this machine's one address.
            with proxy.before(app, CONNECTIONS_OF_ONE_ADDRESS="5000") as before:
                _beside_all(Door(before.https, before.trusting), headers, ", through the proxy")
        else:
            say("  not through the proxy: nginx is not installed")
    _cost_of_threads(url, headers)


def _beside_all(door: Door, headers: dict[str, str], where: str) -> None:
    for company in slow.kinds(headers):
        _compare(f"{company.name}{where}", door, headers, partial(slow.beside, door, company))


def _compare(
    name: str, door: Door, headers: dict[str, str], company: Callable[[], AbstractContextManager[object]]
) -> None:
    usual, beside = Times(), Times()
    # The first pages of a process are no usual ones.
    slow.measure(Times(), door, headers)
    for _ in range(slow.TURNS):
        slow.measure(usual, door, headers)
        with company():
            slow.measure(beside, door, headers)
    ratio, slowest = beside.page / usual.page, max(beside.health)
    verdict(name, ratio, "≤ 2.00", ratio <= 2)
    verdict("  /healthz at its slowest, in seconds", slowest, "≤ 0.20", slowest <= 0.2)


def _cost_of_threads(url: str, headers: dict[str, str]) -> None:
    """Eight clients at once; the yardstick is Django in one thread of granian's, without the front."""
    with served(url) as app, served(url, "sidekick.wsgi:application") as alone:
        found: dict[int, list[float]] = {app: [], alone: []}
        for _ in range(6):
            for port, speeds in found.items():
                speeds.append(slow.requests_a_second(Door(port), headers))
    ratio = statistics.median(found[app][1:]) / statistics.median(found[alone][1:])
    verdict("Requests/s with the front and its threads ÷ one thread without", ratio, "≥ 0.85", ratio >= 0.85)


def buying(user: User) -> dict[str, str]:
    headers = cookies(user)
    token = headers["Cookie"].rpartition("csrftoken=")[2]
    return {**headers, "X-CSRFToken": token}


PARTS: dict[str, Callable[[str], None]] = {
    # First, while nothing else was written: the two million rows of pages keep the disk busy long after.
    "webhooks": _webhooks,
    "pages": _pages,
    "files": _files,
    "slow": bench_slow,
}


# Around it ------------------------------------------------------------------------------------------------------


def timed(work: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def _often(ask: Callable[[], None]) -> None:
    for _ in range(PAGES_A_ROUND):
        ask()


def make_user(email: str) -> User:
    return User.objects.create_user(email, date_joined=NOW - timedelta(days=29, hours=7, minutes=3))


def _url() -> str:
    # The test database has the server of the settings, under another name.
    its = connection.settings_dict
    parts = {"host": its["HOST"], "port": its["PORT"], "user": its["USER"], "dbname": its["NAME"]}
    if its["PASSWORD"]:
        parts["password"] = its["PASSWORD"]
    return " ".join(f"{name}={value}" for name, value in parts.items() if value)


@contextmanager
def served(url: str, application: str = SIDEKICK, workers: int = 1, **changed: str) -> Iterator[int]:
    """granian on a free port: Sidekick as `deploy/start` starts it, or a WSGI application in one thread."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    programs = Path(sys.executable).parent
    environment = {**os.environ, "DATABASE_URL": url, "ACCESS_TOKEN_SECONDS": "86400", **changed}
    environment |= {"PATH": f"{programs}:{os.environ['PATH']}", "HOST": "127.0.0.1", "PORT": str(port)}
    environment["WEB_PROCESSES"] = str(workers)
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = ["granian", "--interface", "wsgi", "--port", str(port), "--blocking-threads", "1", "--log-level", "error"]
    command = ["deploy/start", "web"] if application == SIDEKICK else [*command, application]
    server = subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment)
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and server.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        # Longer than granian gives a thread that waits for Paddle.
        server.wait(30)
