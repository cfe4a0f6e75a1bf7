"""The lock that orders all writing of credits, drawing from grants, and what is promised of them.

Every writer takes these steps in this order: make missing wallets (`ensure`, before the transaction), lock the
wallets in order of account (`lock`), let the clock catch up (`periods.catch_up`), then write. Two writers that
share an account therefore follow each other, and writers that share several can't deadlock.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from pydantic_core import to_json


@dataclass(frozen=True, slots=True)
class Draw:
    """What one account must pay now, and how much of it occurred in its open period.

    `touch` leaves a mark on the wallet: someone is using it up right now, and may want to know (`low_balance`).
    """

    account_id: uuid.UUID
    credits: Decimal
    used: Decimal
    touch: bool = False


def ensure(accounts: Collection[uuid.UUID]) -> None:
    """Give every named user without a wallet one, due at once; ids of nobody are passed over.

    Commits by itself when no transaction is open: a wallet inserted by a writer that already holds locks could
    make two writers wait for each other.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO credits_wallet (account_id, held, debt, due_at)
            SELECT u.id, 0, 0, to_timestamp(0) FROM accounts_user u
            WHERE u.id = ANY(%s) AND NOT EXISTS (SELECT FROM credits_wallet w WHERE w.account_id = u.id)
            ORDER BY u.id
            ON CONFLICT DO NOTHING
            """,
            [list(accounts)],
        )


def lock(accounts: Collection[uuid.UUID]) -> dict[uuid.UUID, datetime | None]:
    """Lock the wallets until the transaction ends. Returns when the clock is next due for each one that exists."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT account_id, due_at FROM credits_wallet WHERE account_id = ANY(%s) ORDER BY account_id FOR UPDATE",
            [list(accounts)],
        )
        return dict(cursor.fetchall())


def draw(draws: Iterable[Draw]) -> None:
    """Take what each account must pay, and what it owes, from its grants in the order of spending (M3).

    What no grant covers is left as debt, so a debt is paid first by whatever is granted next (M5). Locks must be
    held. Keeps: debt > 0 only where nothing remains; Σ drawn in all periods + debt = Σ usage.
    """
    wanted = [
        {"account_id": d.account_id, "credits": str(d.credits), "used": str(d.used), "touch": d.touch} for d in draws
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH wanted AS (
                SELECT w.account_id, n.credits + w.debt AS credits, n.used, n.touch
                FROM json_to_recordset(%s) AS n(account_id uuid, credits numeric, used numeric, touch boolean)
                JOIN credits_wallet w USING (account_id)
            ), queue AS (
                SELECT g.id, g.remaining, w.credits AS wanted, sum(g.remaining) OVER (
                    PARTITION BY g.account_id ORDER BY g.kind, g.expires_at NULLS LAST, g.created_at, g.id
                ) - g.remaining AS before
                FROM credits_grant g JOIN wanted w USING (account_id)
                WHERE g.remaining > 0
            ), drawn AS (
                UPDATE credits_grant g SET remaining = g.remaining - least(q.remaining, q.wanted - q.before)
                FROM queue q WHERE g.id = q.id AND q.before < q.wanted
                RETURNING g.account_id, g.kind, least(q.remaining, q.wanted - q.before) AS credits
            ), totals AS (
                SELECT w.account_id, w.used, w.touch, w.credits - coalesce(sum(d.credits), 0) AS debt,
                    coalesce(sum(d.credits) FILTER (WHERE d.kind = 0), 0) AS courtesy,
                    coalesce(sum(d.credits) FILTER (WHERE d.kind IN (1, 2)), 0) AS plan,
                    coalesce(sum(d.credits) FILTER (WHERE d.kind = 3), 0) AS additional
                FROM wanted w LEFT JOIN drawn d USING (account_id)
                GROUP BY w.account_id, w.used, w.touch, w.credits
            ), counted AS (
                UPDATE credits_creditperiod p SET
                    used = p.used + t.used,
                    plan_used = p.plan_used + t.plan,
                    additional_used = p.additional_used + t.additional,
                    courtesy_used = p.courtesy_used + t.courtesy
                FROM totals t WHERE p.account_id = t.account_id AND p.closed_at IS NULL
            )
            UPDATE credits_wallet w SET debt = t.debt, touched = w.touched OR t.touch
            FROM totals t WHERE w.account_id = t.account_id AND (w.debt <> t.debt OR t.touch AND NOT w.touched)
            """,
            [to_json(wanted).decode()],
        )


def available(account_id: uuid.UUID) -> Decimal:
    """What may still be promised: what remains of all grants, less what is promised already. The lock must be held.

    Negative where usage without a hold took what others were promised.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT coalesce(sum(g.remaining), 0) - w.held
            FROM credits_wallet w LEFT JOIN credits_grant g ON g.account_id = w.account_id AND g.remaining > 0
            WHERE w.account_id = %s GROUP BY w.account_id
            """,
            [account_id],
        )
        row: tuple[Decimal] = cursor.fetchone()
        return row[0]


def end_holds(holds: Iterable[str], state: str, now: datetime) -> None:
    """End these holds, by id, and free what is promised to those still open. The locks must be held."""
    _free("id = ANY(%s::uuid[])", [list(holds)], state, now)


def lapse_holds(accounts: Iterable[uuid.UUID], now: datetime) -> None:
    """Free what was promised to calls that never came back. The locks must be held."""
    _free("account_id = ANY(%s) AND state = 'open' AND expires_at <= %s", [list(accounts), now], "lapsed", now)


def _free(which: str, parameters: list[Any], state: str, now: datetime) -> None:
    """Keeps: `held` = Σ amounts of open holds. A hold that lapsed is settled by usage that comes late all the same."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH chosen AS (
                SELECT id, account_id, CASE state WHEN 'open' THEN amount ELSE 0 END AS promised
                FROM credits_hold WHERE {which}
            ), ended AS (
                UPDATE credits_hold h SET state = %s, ended_at = %s FROM chosen c
                WHERE h.id = c.id AND h.state IN ('open', 'lapsed')
            ), freed AS (
                SELECT account_id, sum(promised) AS credits FROM chosen GROUP BY account_id
            )
            UPDATE credits_wallet w SET held = w.held - f.credits
            FROM freed f WHERE w.account_id = f.account_id AND f.credits > 0
            """,
            [*parameters, state, now],
        )
