"""Letters about running low: at 20 %, 5 % and none of the period's credits, and before rollover lapses (C9).

Metering leaves a mark on the wallet it draws from (`Draw.touch`); the worker looks at marked wallets alone. Each
letter has a key, of the period and what was reached: nobody hears of the same thing twice in a period.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.conf import settings
from django.core import signing
from django.db import connection, transaction
from django.db.models import Sum
from django.urls import reverse

from credits.models import CreditPeriod, Grant, Wallet
from credits.reports.alerts import LAPSE_AHEAD, LEVELS
from sidekick import formatting
from sidekick.accounts import emails
from sidekick.accounts.models import User

AT_ONCE = 50
SALT = "credits.low_balance"


class Low(NamedTuple):
    """An account with at most a fifth of its period's credits left to spend."""

    account_id: uuid.UUID
    period_id: int
    ends_at: datetime
    total: Decimal
    available: Decimal

    @property
    def level(self) -> int:
        """The lowest of `LEVELS`, in percent, that it has come down to."""
        return next(level for level in LEVELS if self.available * 100 <= self.total * level)

    @property
    def key(self) -> str:
        return f"low_balance:{self.period_id}:{self.level}"

    @property
    def heard(self) -> set[str]:
        """Letters after which this one says nothing new: of this level, or of a lower one before credits were added."""
        return {f"low_balance:{self.period_id}:{level}" for level in LEVELS if level <= self.level}


def tell_touched(now: datetime) -> int:
    """What the worker does every minute. Answers how many wallets it looked at.

    In small transactions: whoever meters one of these accounts waits for it. A wallet that is being drawn from at this
    moment keeps its mark for the next minute, and so does one whose transaction is broken off.
    """
    looked = 0
    while True:
        with transaction.atomic():
            accounts = _take_touched()
            _tell(_low(accounts, now))
        looked += len(accounts)
        if len(accounts) < AT_ONCE:
            return looked


def tell_of_lapses(now: datetime) -> int:
    """What the worker does every hour: rolled-over credits that lapse within three days. Answers how many letters."""
    ending = CreditPeriod.objects.filter(closed_at=None, ends_at__gt=now, ends_at__lte=now + LAPSE_AHEAD)
    left = (
        ending.filter(grants__kind=Grant.Kind.ROLLOVER, grants__remaining__gt=0)
        .filter(account__balance_emails=True, account__is_active=True)
        .annotate(left=Sum("grants__remaining"))
        .select_related("account", "plan")
    )
    periods = {f"rollover_lapses:{period.pk}": period for period in left}
    new = periods.keys() - emails.written(periods)
    for key in sorted(new):
        period = periods[key]
        context = {"left": formatting.credits(period.left), "ends_at": period.ends_at, "plan": period.plan}
        _write("credits/email/rollover_lapses", period.account, context, key)
    return len(new)


def forget(account_id: uuid.UUID) -> None:
    """What was used so far is no news."""
    Wallet.objects.filter(account_id=account_id).update(touched=False)


def unsubscribe_url(account: User) -> str:
    """Where one POST ends these letters, for who holds the link and nobody else (RFC 8058)."""
    token = signing.dumps(str(account.pk), salt=SALT)
    return settings.SITE_URL + reverse("credits:stop_balance_emails", args=[token])


def account_of(token: str) -> User | None:
    """Whose letters an unsubscribe link ends."""
    try:
        account_id = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        return None
    return User.objects.filter(id=account_id, is_active=True).first()


def _take_touched() -> list[uuid.UUID]:
    """Lock some marked wallets, in the order of all locks, and take their marks away. None waits for another."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE credits_wallet w SET touched = false FROM (
                SELECT account_id FROM credits_wallet WHERE touched ORDER BY account_id LIMIT %s FOR UPDATE SKIP LOCKED
            ) marked WHERE w.account_id = marked.account_id
            RETURNING w.account_id
            """,
            [AT_ONCE],
        )
        return [account_id for (account_id,) in cursor.fetchall()]


def _low(accounts: Collection[uuid.UUID], now: datetime) -> list[Low]:
    """Those of the accounts that have little left and want to know; not where a new period is due to open.

    As on the page (`notices`), what is promised to calls is not spent yet, so a hold that is due to lapse changes
    nothing here; courtesy credits that are due to are gone already.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT account_id, period_id, ends_at, total, available FROM (
                SELECT w.account_id, p.id AS period_id, p.ends_at, p.allocation + p.rollover AS total, greatest(
                    coalesce((SELECT sum(remaining) FROM credits_grant g
                        WHERE g.account_id = w.account_id AND g.remaining > 0
                        AND (g.kind <> 0 OR g.expires_at IS NULL OR g.expires_at > %(now)s)), 0) - w.debt, 0
                ) AS available
                FROM credits_wallet w
                JOIN accounts_user u ON u.id = w.account_id AND u.balance_emails AND u.is_active
                JOIN credits_creditperiod p ON p.account_id = w.account_id AND p.closed_at IS NULL
                WHERE w.account_id = ANY(%(accounts)s) AND (p.ends_at > %(now)s OR p.ends_at >= p.paid_until)
            ) balance WHERE available * 5 <= total
            """,
            {"accounts": list(accounts), "now": now},
        )
        return [Low(*row) for row in cursor.fetchall()]


def _tell(low: Iterable[Low]) -> None:
    reached = {each.key: each for each in low}
    written = emails.written(key for each in reached.values() for key in each.heard)
    new = {key for key, each in reached.items() if not each.heard & written}
    periods = CreditPeriod.objects.select_related("account", "plan")
    found = periods.in_bulk([reached[key].period_id for key in new])
    for key in sorted(new):
        each, period = reached[key], found[reached[key].period_id]
        context = {
            "level": each.level,
            "available": formatting.credits(each.available),
            "total": formatting.credits(each.total),
            "ends_at": each.ends_at,
            "plan": period.plan,
        }
        _write("credits/email/low_balance", period.account, context, key)


def _write(template: str, account: User, context: dict[str, object], key: str) -> None:
    emails.write(template, to=account, context=context, key=key, unsubscribe=unsubscribe_url(account))
