"""Emails about the balance: at each of `alerts.LEVELS`, and before rolled-over credits expire (C9).

Metering marks the wallet it draws from (`Draw.touch`), and the worker looks at marked wallets alone. The key of each
email names its period and level, so nobody hears of the same thing twice in a period.
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
from credits.reports import alerts
from sidekick import formatting
from sidekick.accounts import emails
from sidekick.accounts.models import User

# Wallets that one transaction locks.
AT_ONCE = 50
# Part of the signature in every link that was sent: with another salt they would all end.
SALT = "credits.low_balance"


class LowBalance(NamedTuple):
    """An account that has come down to one of the levels. `unspent` is never below zero."""

    account_id: uuid.UUID
    period_id: int
    ends_at: datetime
    total: Decimal
    unspent: Decimal

    @property
    def level(self) -> int:
        level = alerts.level_reached(self.unspent, self.total)
        assert level is not None, "the query asks for accounts at or below the highest level"
        return level

    @property
    def key(self) -> str:
        return f"low_balance:{self.period_id}:{self.level}"

    @property
    def known_by(self) -> set[str]:
        """The keys of emails after which this one is no news: of this level, or of a worse one before a top-up."""
        return {f"low_balance:{self.period_id}:{level}" for level in alerts.LEVELS if level <= self.level}


def write_low_balance(now: datetime) -> int:
    """Look at every marked wallet and write the emails that are due. Returns how many wallets it looked at.

    A wallet that is being drawn from at this moment keeps its mark for the next run, and so does one whose transaction
    is rolled back.
    """
    looked = 0
    while True:
        # Small transactions, because metering of these accounts waits for each of them.
        with transaction.atomic():
            accounts = _take_touched()
            _write_each(_low_balances(accounts, now))
        looked += len(accounts)
        if len(accounts) < AT_ONCE:
            return looked


def write_rollover_expiry(now: datetime) -> int:
    """Write the emails about rolled-over credits that expire within three days. Returns how many it wrote."""
    ending = CreditPeriod.objects.filter(closed_at=None, ends_at__gt=now, ends_at__lte=now + alerts.EXPIRY_AHEAD)
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


def unmark(account_id: uuid.UUID) -> None:
    """Unmark the wallet, so that its usage so far causes no email (the demo's, for example)."""
    Wallet.objects.filter(account_id=account_id).update(touched=False)


def unsubscribe_url(account: User) -> str:
    """The address where one POST ends these emails, without signing in.

    https://www.rfc-editor.org/rfc/rfc8058
    """
    token = signing.dumps(str(account.pk), salt=SALT)
    return settings.SITE_URL + reverse("credits:stop_balance_emails", args=[token])


def account_of(token: str) -> User | None:
    """The account whose emails an unsubscribe link ends; None for a forged link or an account that can't sign in."""
    try:
        account_id = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        return None
    return User.objects.filter(id=account_id, is_active=True).first()


def _take_touched() -> list[uuid.UUID]:
    """Lock some marked wallets, in the order of all locks, and take their marks away."""
    with connection.cursor() as cursor:
        # Skip locked wallets: metering holds them, and this job must not wait for it.
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


def _low_balances(accounts: Collection[uuid.UUID], now: datetime) -> list[LowBalance]:
    """The accounts that are at a level and want emails, without those whose next period is due to open."""
    with connection.cursor() as cursor:
        # Held credits count as unspent, as on the page. Courtesy credits past their end are gone, even before the
        # clock takes them.
        cursor.execute(
            """
            SELECT account_id, period_id, ends_at, total, unspent FROM (
                SELECT w.account_id, p.id AS period_id, p.ends_at, p.allocation + p.rollover AS total, greatest(
                    coalesce((SELECT sum(remaining) FROM credits_grant g
                        WHERE g.account_id = w.account_id AND g.remaining > 0
                        AND (g.kind <> %(courtesy)s OR g.expires_at IS NULL OR g.expires_at > %(now)s)), 0) - w.debt, 0
                ) AS unspent
                FROM credits_wallet w
                JOIN accounts_user u ON u.id = w.account_id AND u.balance_emails AND u.is_active
                JOIN credits_creditperiod p ON p.account_id = w.account_id AND p.closed_at IS NULL
                WHERE w.account_id = ANY(%(accounts)s) AND (p.ends_at > %(now)s OR p.ends_at >= p.paid_until)
            ) balance WHERE unspent * 100 <= total * %(highest)s
            """,
            {
                "accounts": list(accounts),
                "now": now,
                "courtesy": Grant.Kind.COURTESY,
                "highest": max(alerts.LEVELS),
            },
        )
        return [LowBalance(*row) for row in cursor.fetchall()]


def _write_each(balances: Iterable[LowBalance]) -> None:
    low = {each.key: each for each in balances}
    written = emails.written(key for each in low.values() for key in each.known_by)
    new = {key for key, each in low.items() if not each.known_by & written}
    periods = CreditPeriod.objects.select_related("account", "plan").in_bulk([low[key].period_id for key in new])
    for key in sorted(new):
        each, period = low[key], periods[low[key].period_id]
        context = {
            "level": each.level,
            "available": formatting.credits(each.unspent),
            "total": formatting.credits(each.total),
            "ends_at": each.ends_at,
            "plan": period.plan,
        }
        _write("credits/email/low_balance", period.account, context, key)


def _write(template: str, account: User, context: dict[str, object], key: str) -> None:
    emails.write(template, to=account, context=context, key=key, unsubscribe=unsubscribe_url(account))
