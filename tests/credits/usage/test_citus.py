"""Distributing usage: obstacles are found on the real tables; Citus itself is pretended."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from credits.usage import citus as usage_citus
from sidekick.accounts.models import User
from tests.credits.books import assert_books_balance, use
from tests.production import free_port, open_folder
from tests.test_running import SYSTEM_PATH, running_pooler

PRETENDED = (Path(__file__).parent / "pretended_citus.sql").read_text()
BY_EVENT = "credits_usageevent by account_id beside none"
BY_ROLLUP = "credits_usagerollup by account_id beside credits_usageevent"
CONCURRENTLY = "create_distributed_table_concurrently"
ALL = [
    "reference credits_aimodel",
    f"concurrently {BY_EVENT}, lock_timeout 0",
    f"concurrently {BY_ROLLUP}, lock_timeout 0",
]


def sql(statement: str) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


@pytest.fixture
def citus(transactional_db: None) -> Iterator[None]:
    sql(PRETENDED)
    yield
    sql("RESET ALL; DROP SCHEMA pretended CASCADE; DROP SCHEMA citus CASCADE")


def asked() -> list[object]:
    return [call for (call,) in sql("SELECT call FROM pretended.asked ORDER BY number")]


def distribute(*flags: str) -> str:
    out = StringIO()
    call_command("distribute", *flags, stdout=out)
    return out.getvalue()


def refusal(*flags: str) -> str:
    with pytest.raises(CommandError) as refused:
        distribute(*flags)
    return str(refused.value)


# The tables


@pytest.mark.django_db
def test_our_tables_can_be_distributed_as_they_are() -> None:  # O3
    assert usage_citus.table_obstacles() == []


OBSTACLES = {
    "has the trigger noisy": (
        "CREATE TRIGGER noisy BEFORE UPDATE ON credits_usageevent FOR EACH ROW EXECUTE FUNCTION credits_refuse_change()"
    ),
    "credits_aimodel has the trigger noisy": (
        "CREATE TRIGGER noisy BEFORE UPDATE ON credits_aimodel FOR EACH ROW EXECUTE FUNCTION credits_refuse_change()"
    ),
    "has the key once without account_id": "CREATE UNIQUE INDEX once ON credits_usageevent (request_id)",
    "has the key covered without account_id": (
        "CREATE UNIQUE INDEX covered ON credits_usagerollup (bucket, grain) INCLUDE (account_id)"
    ),
    "has the key computed without account_id": (
        "CREATE UNIQUE INDEX computed ON credits_usageevent ((account_id::text || request_id))"
    ),
    "credits_usageevent.number counts by itself": (
        "ALTER TABLE credits_usageevent ADD number bigint GENERATED ALWAYS AS IDENTITY"
    ),
    "credits_usagerollup.number counts by itself": "ALTER TABLE credits_usagerollup ADD number bigserial",
    "credits_usagerollup.account_id is text": "ALTER TABLE credits_usagerollup ALTER account_id TYPE text",
    "The foreign key owner ties credits_usageevent to accounts_user": (
        "ALTER TABLE credits_usageevent ADD CONSTRAINT owner FOREIGN KEY (account_id) REFERENCES accounts_user (id)"
    ),
    "The foreign key request ties credits_hold to credits_usageevent": (
        "ALTER TABLE credits_hold ADD CONSTRAINT request FOREIGN KEY (account_id, request_id)"
        " REFERENCES credits_usageevent (account_id, request_id)"
    ),
    "The foreign key model ties credits_hold to credits_aimodel": (
        "ALTER TABLE credits_hold ADD CONSTRAINT model FOREIGN KEY (model_id) REFERENCES credits_aimodel (id)"
    ),
    "belongs to another role": "CREATE ROLE stranger; SET LOCAL ROLE stranger",
}


@pytest.mark.django_db
@pytest.mark.parametrize("sentence", OBSTACLES)
def test_what_citus_would_refuse_of_a_table_is_found_and_named(sentence: str) -> None:  # O3
    sql(OBSTACLES[sentence])
    assert sentence in " ".join(usage_citus.table_obstacles())


def test_what_stands_in_the_way_stops_everything(citus: None) -> None:
    sql("CREATE UNIQUE INDEX once ON credits_usageevent (request_id)")
    try:
        assert refusal() == refusal("--dry-run") == "credits_usageevent has the key once without account_id."
    finally:
        sql("DROP INDEX once")
    assert asked() == []


# The cluster


@pytest.mark.django_db
@pytest.mark.parametrize("flags", [[], ["--dry-run"], ["--block-writes"]])
def test_without_citus_it_refuses_in_one_sentence(flags: list[str]) -> None:  # O3
    assert refusal(*flags) == (
        "This PostgreSQL has no Citus: install it on every machine, then CREATE EXTENSION citus."
    )


@pytest.fixture
def pooled(transactional_db: None) -> Iterator[None]:
    """The connection goes through PgBouncer, in transaction mode."""
    if not shutil.which("pgbouncer", path=SYSTEM_PATH):
        pytest.skip("PgBouncer is not installed: apt-get install pgbouncer")
    direct = connection.settings_dict
    sockets, port = sql("SHOW unix_socket_directories")[0][0], free_port()
    environment = {
        "PATH": SYSTEM_PATH,
        "POSTGRES_HOST": str(sockets),
        "POSTGRES_USER": connection.connection.info.user,
        "POSTGRES_PASSWORD": "pooled",
        "POOLER_ADDRESS": "127.0.0.1",
        "POOLER_PORT": str(port),
    }
    connection.close()
    with (
        open_folder() as folder,
        running_pooler(folder, environment, Path(str(sockets)).owner() if os.geteuid() == 0 else None),
    ):
        pooler = {"HOST": "127.0.0.1", "PORT": str(port), "PASSWORD": "pooled", "OPTIONS": {}}
        connection.settings_dict = {**direct, "USER": environment["POSTGRES_USER"], **pooler}
        yield
        connection.close()
    connection.settings_dict = direct


def test_by_way_of_a_pooler_it_refuses(pooled: None) -> None:  # O3
    assert refusal() == "DATABASE_URL leads to a pooler: for this it must lead to PostgreSQL itself."


WRONG = {
    "Citus 12 or newer is needed, and this is Citus 11.3.1": (
        "UPDATE settings SET value = 'Citus 11.3.1 on x86_64-pc-linux-gnu' WHERE name = 'version'"
    ),
    "This is a replica": "UPDATE settings SET value = 'yes' WHERE name = 'recovers'",
    "This is a worker": "UPDATE pg_dist_local_group SET groupid = 1",
    "The coordinator doesn't know itself": "DELETE FROM pg_dist_node WHERE groupid = 0",
    "There is no worker that takes rows": "UPDATE pg_dist_node SET shouldhaveshards = false",
    "no worker": "UPDATE pg_dist_node SET isactive = false WHERE groupid > 0",
    "credits_usageevent is distributed by request_id already": (
        "INSERT INTO citus_tables VALUES ('credits_usageevent', 'distributed', 'request_id', 1)"
    ),
    "credits_usagerollup is reference by <none> already": (
        "INSERT INTO citus_tables VALUES ('credits_usagerollup', 'reference', '<none>', 1)"
    ),
    "credits_aimodel is distributed already": (
        "INSERT INTO citus_tables VALUES ('credits_aimodel', 'distributed', 'id', 1)"
    ),
    "are not side by side": (
        "INSERT INTO citus_tables VALUES ('credits_usageevent', 'distributed', 'account_id', 1),"
        " ('credits_usagerollup', 'distributed', 'account_id', 2)"
    ),
}


@pytest.mark.parametrize("sentence", WRONG)
@pytest.mark.parametrize("flags", [[], ["--block-writes"]])
def test_what_is_wrong_with_the_cluster_is_said(citus: None, sentence: str, flags: list[str]) -> None:  # O3
    sql(WRONG[sentence])
    assert sentence in refusal(*flags)
    assert asked() == []


NOT_ALIVE = {
    "wal_level is replica": "UPDATE settings SET value = 'replica' WHERE name = 'wal_level'",
    "citus.shard_replication_factor is not 1": (
        "UPDATE settings SET value = '2' WHERE name = 'citus.shard_replication_factor'"
    ),
    "credits_usageevent has no replica identity": "ALTER TABLE credits_usageevent REPLICA IDENTITY NOTHING",
}


@pytest.mark.parametrize("sentence", NOT_ALIVE)
def test_where_writes_could_not_go_on_they_are_blocked_only_when_asked(citus: None, sentence: str) -> None:
    sql(NOT_ALIVE[sentence])
    try:
        assert sentence in refusal()
        assert "--block-writes" in refusal()
        assert asked() == []
        assert "Nobody can record usage" in distribute("--block-writes")
    finally:
        sql("ALTER TABLE credits_usageevent REPLICA IDENTITY DEFAULT")
    assert asked() == [ALL[0], f"distributed {BY_EVENT}", f"distributed {BY_ROLLUP}"]


# The steps


def test_a_dry_run_says_exactly_what_a_run_does(citus: None) -> None:
    said = distribute("--dry-run")
    assert asked() == []
    done = distribute()
    statements = [line for line in said.splitlines() if line.startswith("    SELECT")]
    assert statements == [
        "    SELECT create_reference_table('credits_aimodel')",
        f"    SELECT {CONCURRENTLY}('credits_usageevent', 'account_id', colocate_with => 'none')",
        f"    SELECT {CONCURRENTLY}('credits_usagerollup', 'account_id', colocate_with => 'credits_usageevent')",
    ]
    assert [line for line in done.splitlines() if line in statements] == statements
    assert asked() == ALL


def test_a_second_run_does_nothing(citus: None) -> None:
    distribute()
    assert distribute() == "Usage is distributed already, and the models are on every machine.\n"
    assert asked() == ALL


def test_a_run_that_broke_off_goes_on_where_it_was(citus: None) -> None:
    sql("UPDATE settings SET value = 'credits_usagerollup' WHERE name = 'breaks'")
    assert "credits_usagerollup: connection to the remote node localhost:5432 failed" in refusal()
    assert asked() == ALL[:2]
    # Citus leaves this of a table that it was copying.
    sql("INSERT INTO citus_tables VALUES ('credits_usagerollup', 'local', '<none>', 0)")
    sql("UPDATE settings SET value = ''  WHERE name = 'breaks'")
    assert distribute().startswith("1/1 Spread credits_usagerollup over the workers")
    assert asked() == ALL


def test_it_does_not_take_citus_at_its_word(citus: None) -> None:
    sql("UPDATE settings SET value = 'credits_usageevent' WHERE name = 'idle'")
    assert "citus_tables doesn't show credits_usageevent so" in refusal()
    assert asked() == ALL[:2]


@pytest.mark.parametrize("table", ["credits_aimodel", "credits_usageevent"])
def test_it_gives_up_a_lock_rather_than_let_everybody_queue(
    citus: None, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    monkeypatch.setattr(usage_citus, "LOCK_SECONDS", 1)
    with psycopg.connect(connection.connection.info.dsn) as other:
        # A step that waits for ever gets the lock then, and the test fails.
        other.execute("SET idle_in_transaction_session_timeout = '10s'")
        other.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE")
        assert f"{table}: canceling statement due to lock timeout" in refusal("--block-writes")
    distribute("--block-writes")
    assert asked() == [ALL[0], f"distributed {BY_EVENT}", f"distributed {BY_ROLLUP}"]


@pytest.mark.django_db
def test_a_hold_or_usage_needs_no_row_of_the_price_book_locked(alice: User) -> None:
    """The key is gone; the audit finds a hold for a model that is not there, see `test_audit`."""
    use(alice, 1)
    keys = "SELECT conname FROM pg_constraint WHERE contype = 'f' AND confrelid = 'credits_aimodel'::regclass"
    assert [conname for (conname,) in sql(keys) if "modelprice" not in str(conname)] == []
    assert_books_balance()
