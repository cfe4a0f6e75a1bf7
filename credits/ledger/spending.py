"""Drawing from grants in the order of spending, and the credits that open holds promise.

Everything here expects locked wallets (`locking.locked`) and takes one statement, for any number of accounts.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from pydantic_core import to_json

from credits.models import Grant, Hold

# Takes from grants, counts in the open periods and leaves the rest as debt, all in one statement. `before` is the sum
# of the grants that come earlier in the order of spending: a grant is drawn from where that is less than is wanted.
DRAW = """
WITH wanted AS (
    SELECT w.account_id, n.credits + w.debt AS credits, n.used, n.touch
    FROM json_to_recordset(%(draws)s) AS n(account_id uuid, credits numeric, used numeric, touch boolean)
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
        coalesce(sum(d.credits) FILTER (WHERE d.kind = %(courtesy)s), 0) AS courtesy,
        coalesce(sum(d.credits) FILTER (WHERE d.kind = ANY(%(plan)s)), 0) AS plan,
        coalesce(sum(d.credits) FILTER (WHERE d.kind = %(purchased)s), 0) AS additional
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
"""


@dataclass(frozen=True, slots=True)
class Draw:
    """The credits that one account must pay now, and how many of them were used in its open period.

    `touch` marks the wallet for the emails about low balances (C9).
    """

    account_id: uuid.UUID
    credits: Decimal
    used: Decimal
    touch: bool = False


def draw(draws: Iterable[Draw]) -> None:
    """Take what each account must pay, and what it owes, from its grants in the order of spending (M3).

    What no grant covers is left as debt, so the next grant pays it first (M5). The statement keeps two invariants:
    debt > 0 only where nothing remains, and Σ drawn in all periods + debt = Σ usage.
    """
    # JSON carries credits as text: a number would lose decimals.
    wanted = [
        {"account_id": d.account_id, "credits": str(d.credits), "used": str(d.used), "touch": d.touch} for d in draws
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            DRAW,
            {
                "draws": to_json(wanted).decode(),
                "courtesy": Grant.Kind.COURTESY,
                "plan": list(Grant.PLAN_KINDS),
                "purchased": Grant.Kind.PURCHASED,
            },
        )


def pay_debts(accounts: Iterable[uuid.UUID]) -> None:
    """Pay what these accounts owe from what they were just granted; nothing else is drawn."""
    draw(Draw(account_id, Decimal(0), Decimal(0)) for account_id in accounts)


def available(account_id: uuid.UUID) -> Decimal:
    """Returns the credits that may still be promised: what remains of all grants, less what open holds promise.

    It is negative where usage without a hold took credits that others were promised.
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
    """End these holds, by id, and free the credits of those that are open."""
    _free("id = ANY(%(holds)s::uuid[])", {"holds": list(holds)}, state, now)


def lapse_holds(accounts: Iterable[uuid.UUID], now: datetime) -> None:
    """End the holds that have expired, and free their credits."""
    expired = "account_id = ANY(%(accounts)s) AND state = %(open)s AND expires_at <= %(now)s"
    _free(expired, {"accounts": list(accounts)}, Hold.State.LAPSED, now)


def _free(which: str, parameters: dict[str, Any], state: str, now: datetime) -> None:
    """End the holds that `which` chooses. The statement keeps `held` = Σ amounts of open holds."""
    # A hold that lapsed may still be settled, by usage that arrives late. It promises nothing then, and frees nothing.
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH chosen AS (
                SELECT id, account_id, CASE state WHEN %(open)s THEN amount ELSE 0 END AS promised
                FROM credits_hold WHERE {which}
            ), ended AS (
                UPDATE credits_hold h SET state = %(state)s, ended_at = %(now)s FROM chosen c
                WHERE h.id = c.id AND h.state IN (%(open)s, %(lapsed)s)
            ), freed AS (
                SELECT account_id, sum(promised) AS credits FROM chosen GROUP BY account_id
            )
            UPDATE credits_wallet w SET held = w.held - f.credits
            FROM freed f WHERE w.account_id = f.account_id AND f.credits > 0
            """,
            {"open": Hold.State.OPEN, "lapsed": Hold.State.LAPSED, "state": state, "now": now, **parameters},
        )
