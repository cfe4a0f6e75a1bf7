"""Proof that the books balance (M11). Each check is one statement that returns only the differences.

In one line, for every account: granted − voided + restored − forfeited − used = remaining − debt.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection

from credits.models import Grant, Hold, LedgerEntry, UsageRollup
from sidekick.database import snapshot


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that does not add up: the check that found it, the account, and both figures as a sentence."""

    check: str
    account_id: uuid.UUID
    detail: str


# Usage may lie on other machines than the rest (`usage.citus`). So each statement sums it up in a part of its own,
# which names the account where there is one, before anything else is joined to it.

# The ledger, usage and grants agree: granted − voided + restored − forfeited − used = remaining − debt. Also, Σ drawn
# from grants + debt = Σ used, the periods say that as much was drawn of every kind, and a debt stands only where
# nothing remains.
BALANCE = """
WITH usage AS MATERIALIZED (
    SELECT w.account_id, sum(w.credits) AS used FROM credits_usageevent w WHERE {accounts} GROUP BY w.account_id
), books AS (
    SELECT w.account_id, w.debt,
        coalesce((SELECT sum(l.amount) FROM credits_ledgerentry l WHERE l.account_id = w.account_id), 0) AS ledger,
        coalesce(u.used, 0) AS used,
        coalesce((SELECT sum(g.remaining) FROM credits_grant g WHERE g.account_id = w.account_id), 0) AS remaining,
        (SELECT ARRAY[coalesce(sum(d.drawn) FILTER (WHERE d.kind = %(courtesy)s), 0),
            coalesce(sum(d.drawn) FILTER (WHERE d.kind = ANY(%(plan)s)), 0),
            coalesce(sum(d.drawn) FILTER (WHERE d.kind = %(purchased)s), 0)]
            FROM (SELECT g.kind, g.amount - g.withdrawn - g.remaining AS drawn FROM credits_grant g
                WHERE g.account_id = w.account_id) d) AS drawn,
        (SELECT ARRAY[coalesce(sum(p.courtesy_used), 0), coalesce(sum(p.plan_used), 0),
            coalesce(sum(p.additional_used), 0)]
            FROM credits_creditperiod p WHERE p.account_id = w.account_id) AS period_drawn
    FROM credits_wallet w LEFT JOIN usage u ON u.account_id = w.account_id WHERE {accounts}
)
SELECT account_id, format('ledger %%s − used %%s ≠ remaining %%s − debt %%s; drawn %%s, in periods %%s',
    ledger, used, remaining, debt, drawn, period_drawn)
FROM books
WHERE ledger - used <> remaining - debt OR drawn[1] + drawn[2] + drawn[3] + debt <> used OR period_drawn <> drawn
    OR (debt > 0 AND remaining > 0)
"""

# A grant's amount stands in the ledger once, and so does what left it undrawn. No more is restored than was voided.
# A plan's grants are forfeited or roll over with their period, whose lines name the period instead of the grant.
GRANTS = """
WITH lines AS (
    SELECT w.account_id, g.id, g.amount, g.withdrawn, g.period_id,
        coalesce(sum(l.amount) FILTER (WHERE l.amount > 0 AND l.kind <> %(restored)s), 0) AS given,
        coalesce(-sum(l.amount) FILTER (WHERE l.kind IN (%(voided)s, %(restored)s)), 0) AS voided,
        coalesce(-sum(l.amount) FILTER (WHERE l.amount < 0 OR l.kind = %(restored)s), 0) AS taken
    FROM credits_wallet w JOIN credits_grant g USING (account_id)
    LEFT JOIN credits_ledgerentry l ON l.grant_id = g.id
    WHERE {accounts}
    GROUP BY w.account_id, g.id
)
SELECT account_id, format('grant %%s: given %%s, in the ledger %%s; withdrawn %%s, in the ledger %%s, of it voided'
    ' and not restored %%s', id, amount, given, withdrawn, taken, voided)
FROM lines
WHERE amount <> given OR voided < 0 OR (period_id IS NULL AND withdrawn <> taken)
"""

# Rollups = requests, per bucket and model, for quarters of an hour and for days.
ROLLUPS = """
WITH counted AS MATERIALIZED (
    SELECT w.account_id, grain, date_bin(make_interval(mins => grain), w.occurred_at, to_timestamp(0)) AS bucket,
        w.model_id, count(*) AS requests, sum(w.input_tokens) AS i, sum(w.output_tokens) AS o,
        sum(w.cache_read_tokens) AS cr, sum(w.cache_write_tokens) AS cw, sum(w.credits) AS credits
    FROM credits_usageevent w, (VALUES (%(quarter)s), (%(day)s)) AS g(grain)
    WHERE {accounts}
    GROUP BY 1, 2, 3, 4
), summed AS MATERIALIZED (
    SELECT w.account_id, w.grain, w.bucket, w.model_id, w.requests, w.input_tokens, w.output_tokens,
        w.cache_read_tokens, w.cache_write_tokens, w.credits
    FROM credits_usagerollup w WHERE {accounts}
)
SELECT coalesce(c.account_id, s.account_id), format('%%s minutes from %%s, model %%s: %%s requests and %%s credits,'
    ' rolled up %%s and %%s', coalesce(c.grain, s.grain), coalesce(c.bucket, s.bucket),
    coalesce(c.model_id, s.model_id), c.requests, c.credits, s.requests, s.credits)
FROM counted c FULL JOIN summed s ON c.account_id = s.account_id AND c.grain = s.grain AND c.bucket = s.bucket
    AND c.model_id = s.model_id
WHERE (c.requests, c.i, c.o, c.cr, c.cw, c.credits) IS DISTINCT FROM
    (s.requests, s.input_tokens, s.output_tokens, s.cache_read_tokens, s.cache_write_tokens, s.credits)
"""

# A period's `used` = the requests that occurred from its start to the next one's. In the open period, allocation +
# rollover − drawn = what remains of the plan's grants. The last period is the open one, and closed ones keep nothing.
PERIODS = """
WITH extents AS MATERIALIZED (
    SELECT p.*, lead(p.starts_at) OVER (PARTITION BY p.account_id ORDER BY p.starts_at) AS next_starts_at
    FROM credits_creditperiod p JOIN credits_wallet w USING (account_id) WHERE {accounts}
), usage AS MATERIALIZED (
    SELECT x.id, sum(w.credits) AS occurred
    FROM extents x JOIN credits_usageevent w ON w.account_id = x.account_id AND w.occurred_at >= x.starts_at
        AND w.occurred_at < coalesce(x.next_starts_at, 'infinity')
    WHERE {accounts}
    GROUP BY x.id
), figures AS (
    SELECT x.*, coalesce(u.occurred, 0) AS occurred,
        coalesce((SELECT sum(g.remaining) FROM credits_grant g WHERE g.period_id = x.id), 0) AS remaining
    FROM extents x LEFT JOIN usage u ON u.id = x.id
)
SELECT account_id, format(
    'period %%s: used %%s, occurred %%s; allocation %%s + rollover %%s − drawn %%s, remaining %%s',
    id, used, occurred, allocation, rollover, plan_used, remaining)
FROM figures
WHERE used <> occurred
    OR (closed_at IS NULL AND allocation + rollover - plan_used <> remaining)
    OR (closed_at IS NULL) <> (next_starts_at IS NULL)
    OR (closed_at IS NOT NULL AND remaining <> 0)
"""

# Every account with usage or grants has a wallet.
WALLETS = """
SELECT w.account_id, 'has usage or grants and no wallet'
FROM (SELECT w.account_id FROM credits_usageevent w WHERE {accounts}
    UNION SELECT w.account_id FROM credits_usagerollup w WHERE {accounts}
    UNION SELECT w.account_id FROM credits_grant w WHERE {accounts}) w
WHERE NOT EXISTS (SELECT FROM credits_wallet x WHERE x.account_id = w.account_id)
"""

# `held` = Σ amounts of open holds.
HOLDS = """
SELECT w.account_id, format('held %%s, open holds %%s', w.held, h.promised)
FROM credits_wallet w CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount), 0) AS promised FROM credits_hold WHERE account_id = w.account_id AND state = %(open)s
) h
WHERE {accounts} AND w.held <> h.promised
"""

# The price book has every model that a hold or usage names: no foreign key says so (`models.Hold`).
MODELS = """
SELECT w.account_id, format('hold %%s is for model %%s, which the price book does not have', w.id, w.model_id)
FROM credits_hold w LEFT JOIN credits_aimodel m ON m.id = w.model_id
WHERE {accounts} AND m.id IS NULL
UNION ALL
SELECT DISTINCT w.account_id, format('usage of model %%s, which the price book does not have', w.model_id)
FROM credits_usagerollup w LEFT JOIN credits_aimodel m ON m.id = w.model_id
WHERE {accounts} AND m.id IS NULL
"""

# The clock is due no later than the end of a period that it must follow, or the lapse of a courtesy grant or a hold.
CLOCK = """
SELECT w.account_id, format('the clock is due %%s, and must be by %%s', w.due_at, c.due_at)
FROM credits_wallet w CROSS JOIN LATERAL (
    SELECT least(
        (SELECT p.ends_at FROM credits_creditperiod p JOIN accounts_user u ON u.id = p.account_id
            WHERE p.account_id = w.account_id AND p.closed_at IS NULL AND u.deleted_at IS NULL
            AND (p.paid_until IS NULL OR p.ends_at < p.paid_until)),
        (SELECT min(g.expires_at) FROM credits_grant g WHERE g.account_id = w.account_id
            AND g.kind = %(courtesy)s AND g.remaining > 0),
        (SELECT min(h.expires_at) FROM credits_hold h WHERE h.account_id = w.account_id
            AND h.state = %(open)s)
    ) AS due_at
) c
WHERE {accounts} AND coalesce(w.due_at, 'infinity') > c.due_at
"""

CHECKS = {
    "wallets": WALLETS,
    "holds": HOLDS,
    "models": MODELS,
    "clock": CLOCK,
    "balance": BALANCE,
    "grants": GRANTS,
    "rollups": ROLLUPS,
    "periods": PERIODS,
}


# Parameters of the statements above.
ENUMS: dict[str, int | str | list[int]] = {
    "courtesy": Grant.Kind.COURTESY,
    "plan": [*Grant.PLAN_KINDS],
    "purchased": Grant.Kind.PURCHASED,
    "voided": LedgerEntry.Kind.VOIDED,
    "restored": LedgerEntry.Kind.RESTORED,
    "open": Hold.State.OPEN,
    "quarter": UsageRollup.Grain.QUARTER,
    "day": UsageRollup.Grain.DAY,
}


def differences(account_id: uuid.UUID | None = None) -> Iterator[Difference]:
    """Yield everything that does not add up, for one account or for all, from one consistent state."""
    with snapshot(), connection.cursor() as cursor:
        for check, statement in CHECKS.items():
            condition = "TRUE" if account_id is None else "w.account_id = %(account)s"
            cursor.execute(statement.format(accounts=condition), {**ENUMS, "account": account_id})
            for account, detail in cursor.fetchall():
                yield Difference(check, account, detail)
