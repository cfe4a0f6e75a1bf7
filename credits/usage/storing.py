"""Storing requests once, with their sums, and comparing those that were stored before (M2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from django.db import connection
from pydantic_core import to_json

from credits.models import UsageRollup
from credits.usage.pricing import Priced
from credits.usage.schemas import Receipt, RejectionCode

# Each grain of rollups in minutes, and its length in seconds.
GRAINS = tuple((grain.value, grain.value * 60) for grain in UsageRollup.Grain)


def store(priced: list[Priced], receipt: Receipt) -> tuple[list[Priced], list[Priced]]:
    """Insert the new requests. Returns them, and the repeated ones whose content is that of the stored row.

    Repeated requests with other content are rejected as conflicts, whether the first came in this call or before.
    """
    # A repeat within the call is compared with the stored row below, like that of an earlier call.
    first: dict[tuple[str, str], Priced] = {}
    again = [p for p in priced if first.setdefault(p.key, p) is not p]
    inserted = _insert(first.values()) if first else set()
    fresh = [p for key, p in first.items() if key in inserted]
    repeated = []
    if len(fresh) < len(priced):
        again += [p for key, p in first.items() if key not in inserted]
        stored = stored_contents(again)
        for p in again:
            if stored[p.key] == p.content:
                repeated.append(p)
                receipt.repeat(p.position)
            else:
                reject_conflict(p, receipt)
    return fresh, repeated


def reject_conflict(p: Priced, receipt: Receipt) -> None:
    detail = "This request id was recorded with other content."
    receipt.reject(p.position, p.event, RejectionCode.CONFLICT, detail)


def roll_up(fresh: list[Priced]) -> None:
    """Add new requests to the sums of their quarter of an hour and their day, in one statement."""
    # Whole millionths of a credit: sums of integers are exact and quick.
    sums: dict[tuple[str, int, int, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0, 0])
    for p in fresh:
        e = p.event
        seconds = int(e["occurred_at"].timestamp())
        for grain, length in GRAINS:
            row = sums[p.account_id, grain, seconds - seconds % length, p.model_id]
            row[0] += 1
            row[1] += e["input_tokens"]
            row[2] += e["output_tokens"]
            row[3] += e["cache_read_tokens"]
            row[4] += e["cache_write_tokens"]
            row[5] += p.micro
    rows = [
        {"a": a, "g": g, "b": b, "m": m, "n": n, "i": i, "o": o, "cr": cr, "cw": cw, "c": c}
        for (a, g, b, m), (n, i, o, cr, cw, c) in sorted(sums.items())
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO credits_usagerollup AS u (account_id, grain, bucket, model_id, requests, input_tokens,
                output_tokens, cache_read_tokens, cache_write_tokens, credits)
            SELECT a, g, to_timestamp(b), m, n, i, o, cr, cw, c * 0.000001
            FROM json_to_recordset(%s) AS e(a uuid, g smallint, b bigint, m int, n int, i bigint, o bigint,
                cr bigint, cw bigint, c numeric)
            ON CONFLICT (account_id, grain, bucket, model_id) DO UPDATE SET
                requests = u.requests + excluded.requests,
                input_tokens = u.input_tokens + excluded.input_tokens,
                output_tokens = u.output_tokens + excluded.output_tokens,
                cache_read_tokens = u.cache_read_tokens + excluded.cache_read_tokens,
                cache_write_tokens = u.cache_write_tokens + excluded.cache_write_tokens,
                credits = u.credits + excluded.credits
            """,
            [to_json(rows).decode()],
        )


def _insert(priced: Iterable[Priced]) -> set[tuple[str, str]]:
    """Insert the rows that are not there yet, in one statement. Returns the keys of those it inserted."""
    # One JSON parameter carries any number of rows. Its keys are short, because a thousand rows repeat them.
    rows = [
        {
            "a": p.account_id,
            "r": p.event["request_id"],
            "m": p.model_id,
            "t": p.event["occurred_at"],
            "i": p.event["input_tokens"],
            "o": p.event["output_tokens"],
            "cr": p.event["cache_read_tokens"],
            "cw": p.event["cache_write_tokens"],
            "c": p.micro,
        }
        for p in priced
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO credits_usageevent (account_id, request_id, model_id, occurred_at, input_tokens,
                output_tokens, cache_read_tokens, cache_write_tokens, credits)
            SELECT a, r, m, t, i, o, cr, cw, c * 0.000001
            FROM json_to_recordset(%s) AS e(a uuid, r text, m int, t timestamptz, i int, o int, cr int, cw int,
                c numeric)
            ON CONFLICT (account_id, request_id) DO NOTHING
            RETURNING account_id::text, request_id
            """,
            [to_json(rows).decode()],
        )
        return set(cursor.fetchall())


def stored_contents(priced: Iterable[Priced]) -> dict[tuple[str, str], tuple[object, ...]]:
    """Returns what is stored of these requests, by account and request id, as `Priced.content` compares it."""
    rows = [{"a": p.account_id, "r": p.event["request_id"]} for p in priced]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT e.account_id::text, e.request_id, e.model_id, e.occurred_at, e.input_tokens, e.output_tokens,
                e.cache_read_tokens, e.cache_write_tokens
            FROM json_to_recordset(%s) AS n(a uuid, r text)
            JOIN credits_usageevent e ON e.account_id = n.a AND e.request_id = n.r
            """,
            [to_json(rows).decode()],
        )
        return {(account, request_id): tuple(content) for account, request_id, *content in cursor.fetchall()}
