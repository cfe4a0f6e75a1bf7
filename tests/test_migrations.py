"""Migrations run while the previous release still serves: they neither lock a table for long nor remove what it uses.

A column or table that one release stops using is dropped by the next release.
"""

from __future__ import annotations

import importlib
import re

import psycopg
import pytest
from django.db import OperationalError, connection
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader

OURS = ("accounts", "billing", "credits", "dashboard", "feedback")
# Migrations from before the first production release. Never add a later one here.
BEFORE_ALL = {
    "accounts": "0002_cache_table",
    "billing": "0006_credits_sold_at_once",
    "credits": "0005_restored_credits",
    "dashboard": "",
    "feedback": "",
}
# Statements that hold up the previous release, each with its replacement.
HARMFUL = {
    r"CREATE (UNIQUE )?INDEX (?!CONCURRENTLY)": "AddIndexConcurrently",
    r"DROP INDEX (?!CONCURRENTLY)": "RemoveIndexConcurrently",
    r"ADD CONSTRAINT (?!.*(NOT VALID|USING INDEX))": "AddConstraintNotValid, validated by the next migration",
    r"ADD COLUMN (?=.*NOT NULL)(?!.*DEFAULT)": "a db_default, or a column that may be null",
    r"ADD COLUMN .*(UNIQUE|PRIMARY KEY|REFERENCES)": "the column first, its index and constraint after it",
    r"DROP DEFAULT": "db_default: the release before inserts rows without this column",
    r"DROP COLUMN|DROP TABLE": "a release that no longer uses it, and dropping it in the one after",
    r"RENAME": "a new name beside the old one",
    r"SET NOT NULL": "a check constraint that is not valid yet, validated after",
    r"ALTER COLUMN .* TYPE (?!text|varchar)": "a new column: this writes the table anew",
    r"LOCK TABLE|VACUUM FULL|CLUSTER|TRUNCATE": "nothing that locks everyone out",
}


def migrations() -> list[Migration]:
    loader = MigrationLoader(None)
    return [migration for (app, name), migration in sorted(loader.disk_migrations.items()) if app in OURS]


def harm(sql: str) -> set[str]:
    """Returns the harmful patterns in `sql`. Tables that the same migration creates are exempt, as nobody uses them."""
    made = set(re.findall(r'CREATE TABLE (?:IF NOT EXISTS )?"?(\w+)', sql))
    found = set()
    for statement in re.split(r";\s*\n", re.sub(r"--.*", "", sql)):
        tables = set(re.findall(r'(?:ALTER TABLE|ON|TABLE) "?(\w+)"?', statement))
        if not tables & made:
            found |= {
                f"{pattern}: instead {advice}" for pattern, advice in HARMFUL.items() if re.search(pattern, statement)
            }
    return found


@pytest.mark.django_db(transaction=True)
def test_a_migration_holds_up_nobody() -> None:  # O5
    """Outside a transaction, because `collect_sql` refuses concurrent operations inside one."""
    loader = MigrationLoader(connection)
    later = [migration for migration in migrations() if migration.name > BEFORE_ALL[migration.app_label]]
    assert later
    found = {str(migration): harm("\n".join(loader.collect_sql([(migration, False)]))) for migration in later}
    assert {name: harms for name, harms in found.items() if harms} == {}


@pytest.mark.parametrize("migration", migrations(), ids=str)
def test_a_migration_can_be_taken_back(migration: Migration) -> None:  # O5
    assert [operation for operation in migration.operations if not operation.reversible] == []


@pytest.mark.parametrize(
    "statement",
    [
        'CREATE INDEX "x" ON "credits_grant" ("kind");',
        'ALTER TABLE "credits_grant" ADD COLUMN "x" integer NOT NULL;',
        'ALTER TABLE "credits_grant" ALTER COLUMN "x" DROP DEFAULT;',
        'ALTER TABLE "credits_grant" ADD CONSTRAINT "x" CHECK ("kind" > 0);',
        'ALTER TABLE "credits_grant" DROP COLUMN "kind" CASCADE;',
        'ALTER TABLE "credits_grant" RENAME COLUMN "kind" TO "sort";',
        'ALTER TABLE "credits_grant" ALTER COLUMN "kind" TYPE bigint USING "kind"::bigint;',
        'CREATE TABLE "other" ("id" integer);\nCREATE INDEX "x" ON "credits_grant" ("kind");',
    ],
)
def test_what_would_hold_up_others_is_found(statement: str) -> None:
    assert harm(statement)


@pytest.mark.parametrize(
    "statement",
    [
        'CREATE INDEX CONCURRENTLY "x" ON "credits_grant" ("kind");',
        'ALTER TABLE "credits_grant" ADD COLUMN "x" integer DEFAULT 1 NOT NULL;',
        'ALTER TABLE "credits_grant" ADD COLUMN "x" integer NULL;',
        'ALTER TABLE "credits_grant" ADD CONSTRAINT "x" CHECK ("kind" > 0) NOT VALID;',
        'CREATE TABLE "new" ("id" integer);\nCREATE INDEX "x" ON "new" ("id");',
    ],
)
def test_what_holds_up_nobody_passes(statement: str) -> None:
    assert harm(statement) == set()


@pytest.mark.django_db(transaction=True)
def test_an_index_whose_first_try_was_broken_off_is_built_by_the_second() -> None:
    module = importlib.import_module("dashboard.migrations.0001_operator_log_by_row")
    statements = module.Migration.operations[0].sql
    connection.ensure_connection()
    with psycopg.connect(connection.connection.info.dsn) as other, connection.cursor() as cursor:
        cursor.execute("DROP INDEX operator_log_by_row")
        # A long write in another session makes the concurrent build fail and leaves an invalid index.
        other.execute("LOCK TABLE django_admin_log IN ROW EXCLUSIVE MODE")
        cursor.execute("SET lock_timeout = '300ms'")
        with pytest.raises(OperationalError):
            cursor.execute(statements[-1])
        other.rollback()
        for statement in statements:
            cursor.execute(statement)
        cursor.execute("RESET lock_timeout")
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'operator_log_by_row'::regclass")
        assert cursor.fetchone() == (True,)
