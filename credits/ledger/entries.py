"""How lines get into the ledger: each change of a balance leaves its line through here."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db import connection, models

if TYPE_CHECKING:
    from credits.models import Grant, LedgerEntry


class LedgerQuerySet(models.QuerySet["LedgerEntry"]):
    def book(self, lines: Iterable[LedgerEntry]) -> list[LedgerEntry]:
        """Append these lines, in one statement. The caller changes the balances, under the wallets' locks.

        Lines of no credits are left out, but for allocations. Raises `IntegrityError` where an account's `source_key`
        was booked before for the same kind.
        """
        # A plan without credits grants nothing, yet its line marks the payment as known (`rollover`).
        allocation = self.model.Kind.ALLOCATION
        return self.bulk_create([line for line in lines if line.amount or line.kind == allocation])

    def book_grants(self, grants: Iterable[Grant]) -> list[LedgerEntry]:
        """Append the line of each new grant."""
        return self.book(
            self.model(
                account_id=grant.account_id,
                kind=self._kind_of(grant),
                amount=grant.amount,
                grant=grant,
                period_id=grant.period_id,
                source_key=grant.source_key,
                created_at=grant.created_at,
            )
            for grant in grants
        )

    def insert_with_grant(self, grant: Grant, *, reason: str, actor_id: uuid.UUID | None) -> Decimal | None:
        """Insert a new grant and its line, and set the grant's id. Returns what the account owes.

        Returns None, and inserts nothing, where the account has a grant of this source key.
        """
        # One statement, and so the one line that `book` does not write: Paddle waits for it with each purchase.
        columns = grant.account_id, grant.kind, grant.amount, grant.remaining, grant.expires_at, grant.source_key
        with connection.cursor() as cursor:
            cursor.execute(
                """
                WITH given AS (
                    INSERT INTO credits_grant
                        (account_id, kind, amount, remaining, expires_at, source_key, created_at, withdrawn)
                    VALUES (%s, %s, %s, %s, %s, %s, %s, 0)
                    ON CONFLICT (account_id, source_key) DO NOTHING
                    RETURNING id, account_id, amount, source_key, created_at
                ), booked AS (
                    INSERT INTO credits_ledgerentry
                        (account_id, kind, amount, grant_id, source_key, reason, actor_id, created_at)
                    SELECT account_id, %s, amount, id, source_key, %s, %s, created_at FROM given
                )
                SELECT g.id, w.debt FROM given g JOIN credits_wallet w USING (account_id)
                """,
                [*columns, grant.created_at, self._kind_of(grant), reason, actor_id],
            )
            row: tuple[int, Decimal] | None = cursor.fetchone()
        if row is None:
            return None
        grant.pk, debt = row
        return debt

    def _kind_of(self, grant: Grant) -> LedgerEntry.Kind:
        return self.model.Kind[type(grant).Kind(grant.kind).name]
