"""The one way to a wallet. Every writer of grants, periods, ledger entries or usage works inside `locked`."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from credits.ledger import clock


class NotLocked(RuntimeError):
    """A nested `locked` named an account whose wallet the outer one did not lock."""


@dataclass(frozen=True, slots=True)
class _Block:
    """The wallets that the outermost block has locked, and how far their clock has caught up."""

    wallets: frozenset[uuid.UUID]
    now: datetime
    opened: bool


class _Thread(threading.local):
    # A Django connection belongs to one thread, and so do the locks that it holds.
    outer: _Block | None = None


_thread = _Thread()


@contextmanager
def locked(
    accounts: Collection[uuid.UUID], now: datetime, *, open_due: bool = True, savepoint: bool = True
) -> Iterator[frozenset[uuid.UUID]]:
    """Lock the wallets of these accounts for a transaction, and let their clock catch up to `now` (UTC).

    Yields the accounts that have a wallet: every user gets one here, and ids of nobody are passed over.

    - Missing wallets are made, and committed first when no transaction is open.
    - Wallets are locked in order of account. Two writers that share an account follow each other, and writers that
      share several can't deadlock. Locks last until the outermost transaction ends.
    - The clock catches up (`clock.catch_up`). With `open_due=False` only expired courtesy grants lapse: a writer that
      opens the next period itself must not find another one opened before it.
    - Inside the block, a further `locked` of the same accounts joins it and sends no statement, not even a savepoint.
      For a later `now`, or duties that the outer block left out, the clock catches up again.

    `savepoint=False` is for a writer whose errors roll back its caller's whole transaction: no savepoint is made.

    Raises `NotLocked` when a nested call names an account that the outer block did not lock.
    """
    wanted = frozenset(accounts)
    outer = _thread.outer
    if outer:
        # To lock another wallet now could break the order of accounts.
        if wanted - outer.wallets:
            raise NotLocked(f"Lock {sorted(wanted - outer.wallets)} in the outermost block.")
        # More may be due by a later moment, or by duties that the outer block left out.
        if now > outer.now or (open_due and not outer.opened):
            _serve_clock(_lock(wanted), now, open_due=open_due)
        yield wanted
        return
    # The wallet is nearly always there: a writer that counts its statements looks first.
    joins = connection.in_atomic_block and not savepoint
    if not joins:
        _make_missing(wanted)
    with transaction.atomic(savepoint=savepoint):
        # Read under the lock: another writer may have let the clock catch up while this one waited.
        due = _lock(wanted)
        if joins and len(due) < len(wanted):
            _make_missing(wanted)
            due = _lock(wanted)
        _serve_clock(due, now, open_due=open_due)
        _thread.outer = _Block(frozenset(due), now, open_due)
        try:
            yield frozenset(due)
        finally:
            _thread.outer = None


def _make_missing(accounts: Collection[uuid.UUID]) -> None:
    """Give every named user without a wallet one, due at once.

    A wallet inserted by a writer that already holds locks could make two writers wait for each other. So this comes
    before the transaction, and inserts in order of account; a conflicting insert waits for the other writer's commit.
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


def _lock(accounts: Collection[uuid.UUID]) -> dict[uuid.UUID, datetime | None]:
    """Lock the wallets until the transaction ends. Returns when the clock is next due for each one that exists."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT account_id, due_at FROM credits_wallet WHERE account_id = ANY(%s) ORDER BY account_id FOR UPDATE",
            [list(accounts)],
        )
        return dict(cursor.fetchall())


def _serve_clock(due: dict[uuid.UUID, datetime | None], now: datetime, *, open_due: bool) -> None:
    if open_due:
        clock.catch_up([account for account, due_at in due.items() if due_at is not None and due_at <= now], now)
    else:
        clock.lapse_courtesy(due, now)
