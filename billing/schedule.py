"""Scheduled work of billing: waiting payments are tried again, and plans end when canceled, paused, or unpaid
past their grace (B7, M7)."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial

from django.conf import settings
from django.db import transaction

from billing import emails, fulfilment
from billing.models import Subscription, Transaction
from billing.paddle.inbox import attempt
from credits.ledger import periods
from credits.ledger.locking import locked
from credits.models import CreditPeriod

logger = logging.getLogger(__name__)


def fulfil_due(now: datetime) -> int:
    """Try again to fulfil the payments that wait. Returns the number of accounts tried."""
    waiting = Transaction.objects.waiting().exclude(account=None).values_list("account_id", flat=True)
    return _for_each(waiting.distinct(), lambda account_id: fulfilment.fulfil(account_id, now=now))


def end_plans(now: datetime) -> int:
    """Go over to Free where the subscription was canceled, is paused, or stayed unpaid past its grace (B7, M7).

    Each subscription is looked at once for each of its snapshots. Returns the number of accounts looked at.
    """
    over = Subscription.objects.over().exclude(account=None).values_list("account_id", flat=True)
    return _for_each(over.distinct(), lambda account_id: _end_plan(account_id, now))


def _for_each(accounts: Iterable[uuid.UUID | None], work: Callable[[uuid.UUID], None]) -> int:
    """Work for each account in a transaction of its own: one that fails is logged and holds up no other."""
    found = [account for account in accounts if account]
    for account_id in found:
        _, error = attempt(partial(transaction.atomic(work), account_id))
        if error is not None:
            logger.error("What account %s paid for can't be settled", account_id, exc_info=error)
    return len(found)


def _end_plan(account_id: uuid.UUID, now: datetime) -> None:
    """Draw the consequences of subscriptions that are over. Only the one that pays for the open period ends it."""
    with locked([account_id], now, savepoint=False):
        # Skip locked rows: an event that holds one brings something newer, which the next run looks at.
        over = list(Subscription.objects.over().filter(account=account_id).select_for_update(skip_locked=True))
        waiting = set(
            Transaction.objects.waiting().filter(account=account_id).values_list("subscription_id", flat=True)
        )
        current = CreditPeriod.objects.filter(account_id=account_id, closed_at=None, paid_until__isnull=False).first()
        payment = fulfilment.payment_of(current) if current else None
        for subscription in over:
            ended_at = _ended_at(subscription, current, now)
            if ended_at is None:
                continue
            # A snapshot older than the newest payment says nothing about what that one paid for.
            paid_from = payment.period_starts_at if payment and payment.subscription_id == subscription.id else None
            if current and paid_from and paid_from < ended_at:
                periods.open_free(account_id, starts_at=ended_at, now=now)
                emails.plan_ended(subscription, current, ended_at)
            if subscription.id not in waiting:
                Subscription.objects.filter(id=subscription.id).update(wound_up_at=now)


def _ended_at(subscription: Subscription, current: CreditPeriod | None, now: datetime) -> datetime | None:
    """Returns when it ended, None while its grace lasts."""
    match subscription.status:
        case "canceled":
            return min(subscription.canceled_at or subscription.snapshot_at, now)
        case "paused":
            return min(subscription.paused_at or subscription.snapshot_at, now)
    paid_until = current.paid_until if current else None
    grace = (paid_until or subscription.snapshot_at) + settings.PAST_DUE_GRACE
    return grace if grace <= now else None
