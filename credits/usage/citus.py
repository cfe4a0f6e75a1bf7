"""Distributing usage over several machines with Citus: the obstacles, and the steps that are left.

Functions, views and rules are those of Citus 12 and later, from its documentation and its source. They were never run
against a real Citus here: tests put functions of the same signatures in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection

from credits.models import AIModel, ModelPrice, UsageEvent, UsageRollup

ACCOUNT = "account_id"
EVENTS, ROLLUPS = (model._meta.db_table for model in (UsageEvent, UsageRollup))
MODELS, PRICES = (model._meta.db_table for model in (AIModel, ModelPrice))
# Usage is distributed by account, its two tables side by side.
USAGE = (EVENTS, ROLLUPS)
# The models are copied to every machine, because usage is joined with them. Prices stay on the coordinator: no query
# joins usage with them, and Citus copies no table that has a trigger. Their foreign key to the models makes Citus take
# their table into its metadata. All other tables stay ordinary tables of the coordinator.
BOOK = (MODELS, PRICES)
ALL = USAGE + BOOK
# Since this version it copies identity columns, tells workers the isolation level and lists local tables.
OLDEST = 12
# A step that locks a table gives up after this long, because everybody else queues up behind it.
LOCK_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Step:
    """One table's change: what it does and what others notice of it, as sentences, and its statement.

    `locks_at_once` is False for a concurrent step, which asks for its lock at the end.
    """

    table: str
    action: str
    locks: str
    statement: str
    locks_at_once: bool


def obstacles(*, block_writes: bool) -> list[str]:
    """Returns sentences that say why usage can't be distributed, or not yet; none where it can. Changes nothing.

    With `block_writes` no usage can be recorded meanwhile, which asks less of the server.
    """
    # A pooler lends its sessions, so the process that its clients are told of is not the server's.
    if _query("SELECT pg_backend_pid()")[0][0] != connection.connection.info.backend_pid:
        return ["DATABASE_URL leads to a pooler: for this it must lead to PostgreSQL itself."]
    if not _query("SELECT to_regproc('citus_version')")[0][0]:
        return ["This PostgreSQL has no Citus: install it on every machine, then CREATE EXTENSION citus."]
    version = _query("SELECT citus_version()")[0][0]
    if (found := re.match(r"Citus (\d+)", version)) is None or int(found[1]) < OLDEST:
        return [f"Citus {OLDEST} or newer is needed, and this is {version}."]
    return [
        *_cluster_obstacles(),
        *([] if block_writes else _copying_obstacles()),
        *_state_obstacles(),
        *table_obstacles(),
    ]


def table_obstacles() -> list[str]:
    """Returns sentences about what Citus would refuse in the tables themselves. Needs no Citus."""
    return [
        *(
            f"{table} is no ordinary table, or belongs to another role."
            for (table,) in _query(_NOT_OURS, (*USAGE, MODELS))
        ),
        *(f"{table} has the trigger {name}; Citus takes none." for table, name in _query(_TRIGGERS, (*USAGE, MODELS))),
        *(f"{table} has the key {name} without {ACCOUNT}." for table, name in _query(_KEYS, USAGE, ACCOUNT)),
        *(
            f"{table}.{column} counts by itself: machines can't share a counter."
            for table, column in _query(_COUNTERS, USAGE)
        ),
        *(
            f"{table}.{ACCOUNT} is {kind}, and must be uuid and not null."
            for table, kind in _query(_TYPES, USAGE, ACCOUNT)
        ),
        *(
            f"The foreign key {name} ties {table} to {other}, which would not lie beside it."
            for name, table, other in _query(_FOREIGN_KEYS, ALL, ALL, BOOK, BOOK)
        ),
    ]


def steps_left(*, block_writes: bool) -> list[Step]:
    """Returns the steps that are left, in order. Needs a database without `obstacles`."""
    state = _state()
    kinds = {table: found.kind for table, found in state.items()}
    copying = Step(
        MODELS,
        f"Copy {MODELS} to every machine.",
        "Whoever reads or changes prices waits for that moment.",
        f"SELECT create_reference_table('{MODELS}')",
        locks_at_once=True,
    )
    distributing = [
        _distribution_of(table, beside, block_writes=block_writes)
        for table, beside in ((EVENTS, "none"), (ROLLUPS, EVENTS))
        if kinds.get(table) != "distributed"
    ]
    return distributing if kinds.get(MODELS) == "reference" else [copying, *distributing]


def run(step: Step) -> None:
    """Run one step by itself. It is done as a whole or not at all; a concurrent one that failed can be run again.

    Raises `django.db.Error` with Citus's own message, `django.db.OperationalError` among them when the table's lock
    could not be had in time, and `RuntimeError` when Citus reports success but the table is not as it should be.
    """
    with connection.cursor() as cursor:
        # A concurrent step asks for its lock at the end, after hours perhaps, and must not give up then.
        wait = f"{LOCK_SECONDS}s" if step.locks_at_once else "0"
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', '0', false)", [wait]
        )
        cursor.execute(step.statement)
    if any(step.table == other.table for other in steps_left(block_writes=True)):
        raise RuntimeError(f"Citus says it is done, and citus_tables doesn't show {step.table} so.")


def _distribution_of(table: str, beside: str, *, block_writes: bool) -> Step:
    size = _query("SELECT pg_size_pretty(pg_total_relation_size(%s::regclass))", table)[0][0]
    if block_writes:
        function = "create_distributed_table"
        locks = (
            "Nobody can record usage until it is done. Its rows stay on this machine as well, unseen, until"
            f" SELECT truncate_local_data_after_distributing_table('{table}')."
        )
    else:
        function = "create_distributed_table_concurrently"
        locks = (
            "Usage is recorded meanwhile. Everybody waits once when it begins, behind the longest statement that uses"
            " the table, and whoever records usage once more when it ends."
        )
    action = f"Spread {table} over the workers by account, {size}."
    return Step(
        table, action, locks, f"SELECT {function}('{table}', '{ACCOUNT}', colocate_with => '{beside}')", block_writes
    )


def _cluster_obstacles() -> Iterator[str]:
    if _query("SELECT pg_is_in_recovery()")[0][0]:
        yield "This is a replica: DATABASE_URL must lead to the coordinator."
    if _query("SELECT groupid FROM pg_dist_local_group")[0][0] != 0:
        yield "This is a worker: DATABASE_URL must lead to the coordinator."
    coordinators, workers = _query(_NODES)[0]
    if not coordinators:
        yield "The coordinator doesn't know itself: SELECT citus_set_coordinator_host('its name')."
    if not workers:
        yield "There is no worker that takes rows: SELECT citus_add_node('its name', 5432)."


def _copying_obstacles() -> Iterator[str]:
    """Yield what is missing for copying while usage is recorded."""
    otherwise = "or give --block-writes, and nobody records usage meanwhile."
    if (level := _query("SELECT current_setting('wal_level')")[0][0]) != "logical":
        yield f"wal_level is {level}: set it to logical on every machine and restart them, {otherwise}"
    if _query("SELECT current_setting('citus.shard_replication_factor')")[0][0] != "1":
        yield f"citus.shard_replication_factor is not 1: set it so, {otherwise}"
    for (table,) in _query(_NO_IDENTITY, USAGE):
        yield f"{table} has no replica identity, so changes could not be followed: give it a primary key, {otherwise}"


@dataclass(frozen=True, slots=True)
class State:
    """How Citus keeps a table: its kind is `distributed`, `reference`, or `local` where it is not distributed yet."""

    kind: str
    column: str
    group: int


def _state() -> dict[str, State]:
    rows = _query(
        """
        SELECT table_name::text, citus_table_type, distribution_column, colocation_id FROM citus_tables
        WHERE table_name = ANY(%s::text[]::regclass[])
        """,
        (*USAGE, MODELS),
    )
    return {table: State(*values) for table, *values in rows}


def _state_obstacles() -> Iterator[str]:
    state = _state()
    if MODELS in state and state[MODELS].kind not in ("reference", "local"):
        yield f"{MODELS} is {state[MODELS].kind} already: SELECT undistribute_table('{MODELS}') first."
    spread = {table: state[table] for table in USAGE if table in state and state[table].kind != "local"}
    for table, found in spread.items():
        if (found.kind, found.column) != ("distributed", ACCOUNT):
            yield (
                f"{table} is {found.kind} by {found.column} already, and not by {ACCOUNT}:"
                f" SELECT undistribute_table('{table}') first."
            )
    if len({found.group for found in spread.values()}) > 1:
        yield (
            f"{EVENTS} and {ROLLUPS} are not side by side: SELECT update_distributed_table_colocation('{ROLLUPS}',"
            f" colocate_with => '{EVENTS}')."
        )


def _query(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(value) if isinstance(value, tuple) else value for value in parameters])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


_NOT_OURS = """
SELECT oid::regclass::text FROM pg_class
WHERE oid = ANY(%s::text[]::regclass[]) AND (relkind <> 'r' OR NOT pg_has_role(relowner, 'USAGE'))
"""

_TRIGGERS = """
SELECT tgrelid::regclass::text, tgname FROM pg_trigger
WHERE tgrelid = ANY(%s::text[]::regclass[]) AND NOT tgisinternal
ORDER BY 1, 2
"""

# Unique and exclusion constraints, primary keys and bare unique indexes are all indexes.
_KEYS = """
SELECT i.indrelid::regclass::text, i.indexrelid::regclass::text FROM pg_index i
WHERE i.indrelid = ANY(%s::text[]::regclass[]) AND (i.indisunique OR i.indisexclusion) AND NOT EXISTS (
    SELECT FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attname = %s
        AND a.attnum = ANY((i.indkey::int2[])[0:i.indnkeyatts - 1])
)
ORDER BY 1, 2
"""

_COUNTERS = """
SELECT a.attrelid::regclass::text, a.attname FROM pg_attribute a
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = ANY(%s::text[]::regclass[]) AND a.attnum > 0
    AND (a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%%')
ORDER BY 1, 2
"""

_TYPES = """
SELECT attrelid::regclass::text, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = ANY(%s::text[]::regclass[]) AND attname = %s
    AND (atttypid <> 'uuid'::regtype OR NOT attnotnull OR attgenerated <> '')
ORDER BY 1
"""

# A key within the price book may stay: Citus keeps it between a copied table and one of the coordinator's.
_FOREIGN_KEYS = """
SELECT conname, conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
WHERE contype = 'f' AND (conrelid = ANY(%s::text[]::regclass[]) OR confrelid = ANY(%s::text[]::regclass[]))
    AND NOT (conrelid = ANY(%s::text[]::regclass[]) AND confrelid = ANY(%s::text[]::regclass[]))
ORDER BY 1
"""

_NO_IDENTITY = """
SELECT c.oid::regclass::text FROM pg_class c
WHERE c.oid = ANY(%s::text[]::regclass[]) AND c.relreplident <> 'f' AND NOT EXISTS (
    SELECT FROM pg_index i WHERE i.indrelid = c.oid
        AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident END
)
ORDER BY 1
"""

_NODES = """
SELECT count(*) FILTER (WHERE groupid = 0),
    count(*) FILTER (WHERE groupid <> 0 AND noderole::text = 'primary' AND isactive AND shouldhaveshards)
FROM pg_dist_node
"""
