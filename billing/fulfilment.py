"""What payments give and refunds take: the ledger brought in line with the stored snapshots (B5, M7–M9, P2, P4).

Everything here is a function of snapshots and of what the ledger says was given already, never of an event, so it may
run at any time, in any order, as often as one likes. Each thing given has a key of its own (`paddle:txn_…`, with the
line's id for credits), and nothing is given but by `credits`.

The wallet's lock is taken first: of two writers for one account the second sees what the first committed.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, DataError, IntegrityError, transaction
from django.utils import timezone

from billing import emails, refunds
from billing.models import Adjustment, Line, PlanPrice, Subscription, Transaction
from credits.ledger import grants, periods, upgrades
from credits.ledger.locking import locked
from credits.ledger.months import month_of
from credits.models import CreditPeriod, Grant, LedgerEntry, Plan

CARD_CHANGE = "subscription_payment_method_change"
PLAN_CHANGE = "subscription_update"
A_DAY = timedelta(days=1)
MONTHS = {PlanPrice.Interval.MONTH, PlanPrice.Interval.YEAR}
# What comes of data that nobody foresaw: kept and tried again, while everything else goes on.
FAILURES = (DatabaseError, ObjectDoesNotExist, ValueError, LookupError, TypeError, ArithmeticError)

logger = logging.getLogger(__name__)


def fulfil(account_id: uuid.UUID, touched: Iterable[str] = (), *, now: datetime | None = None) -> None:
    """Give what completed payments of this account still wait for, then follow refunds of these and of `touched`.

    A payment that can't be given what it paid for waits with its reason, and nothing else waits for it. All of it in
    one transaction. That a plan has ended is the clock's business (`end_plans`): a payment that is on its way while
    the subscription looks unpaid must not find the plan gone, and with it what would have rolled over.
    """
    now = now or timezone.now()
    with locked([account_id], now, savepoint=False):
        # Who holds one of the rows waits for our wallet, to do the same for it: waiting for the row would be for ever.
        payments = Transaction.objects.waiting().filter(account=account_id).select_for_update(skip_locked=True)
        followed = set(touched)
        for payment in sorted(payments, key=_in_order):
            payment.held_up = _given(payment, account_id, now)[:300]
            payment.settled_at = None if payment.held_up else now
            payment.save(update_fields=["held_up", "settled_at"])
            followed.add(payment.id)
        refunded = set(Adjustment.objects.filter(transaction_id__in=followed).values_list("transaction_id", flat=True))
        if refunded:
            for payment in Transaction.objects.filter(account=account_id, id__in=refunded):
                refunds.reconcile(payment, now)


def _in_order(payment: Transaction) -> tuple[datetime, datetime, str]:
    return payment.period_starts_at or payment.created_at, payment.created_at, payment.id


def fulfil_due(now: datetime) -> int:
    """Try again what payments still wait for; the clock does so. Answers how many accounts."""
    waiting = Transaction.objects.waiting().exclude(account=None).values_list("account_id", flat=True)
    return _each(waiting.distinct(), lambda account_id: fulfil(account_id, now=now))


def end_plans(now: datetime) -> int:
    """Go over to Free where the subscription was cancelled, is paused, or stayed unpaid past its grace (B7, M7).

    The clock does so, each subscription once for each thing that became of it. Answers how many it looked at.
    """
    over = Subscription.objects.over().exclude(account=None).values_list("account_id", flat=True)
    return _each(over.distinct(), lambda account_id: _end_plan(account_id, now))


def _each(accounts: Iterable[uuid.UUID | None], work: Callable[[uuid.UUID], None]) -> int:
    """In transactions of their own: an account where it fails must not keep the others waiting."""
    found = [account for account in accounts if account]
    for account_id in found:
        try:
            with transaction.atomic():
                work(account_id)
        except FAILURES:
            logger.exception("What account %s paid for can't be settled", account_id)
    return len(found)


def _given(payment: Transaction, account_id: uuid.UUID, now: datetime) -> str:
    """Give all that was paid for. Answers why something could not be given, or nothing."""
    if payment.origin == CARD_CHANGE:
        return ""
    lines = [line for line in payment.lines if not line.given_up]
    prices = PlanPrice.objects.by_paddle_id({line.price_id for line in payment.lines})
    reasons = []
    for line in lines:
        try:
            with transaction.atomic():
                reasons.append(_give(payment, line, prices, account_id, now))
        except (ValueError, ArithmeticError, ObjectDoesNotExist, IntegrityError, DataError) as error:
            # PostgreSQL's further lines quote the row.
            reasons.append(f"{type(error).__name__}: {error}".splitlines()[0])
    return " ".join(filter(None, reasons))


def _give(payment: Transaction, line: Line, prices: dict[str, PlanPrice], account_id: uuid.UUID, now: datetime) -> str:
    price = prices.get(line.price_id)
    if price is None:
        return f"Nothing here is sold at {line.price_id or 'a price without a name'}."
    if price.interval in MONTHS:
        replaced = [
            prices[other.price_id].plan for other in payment.lines if other.given_up and other.price_id in prices
        ]
        return _give_plan(payment, line, price, replaced[0] if replaced else None, account_id, now)
    grants.grant(
        account_id,
        Decimal(line.quantity),
        kind=Grant.Kind.PURCHASED,
        source_key=payment.key_of(line),
        reason=f"Paddle {payment.id}",
        now=now,
    )
    return ""


def _give_plan(
    payment: Transaction, line: Line, price: PlanPrice, replaced: Plan | None, account_id: uuid.UUID, now: datetime
) -> str:
    start, end = payment.period_starts_at, payment.period_ends_at
    if start is None or end is None:
        return "It names no billing period."
    if end <= start:
        return ""
    if payment.origin == PLAN_CHANGE or line.prorated:
        changed = upgrades.covering(account_id, start)
        if not changed:
            return "It changes a period whose payment is not here yet."
        # A year whose money went back is cut short; that makes no new one of what changes it.
        opened = _opened_by(changed[0])
        paid_for = opened.period_ends_at if opened else None
        if end <= max(changed[0].paid_until or changed[0].ends_at, paid_for or changed[0].ends_at) + A_DAY:
            upgrades.grow(account_id, plan=price.plan, instead_of=replaced, at=start, source_key=payment.key, now=now)
            return ""
        if replaced:
            _give_back(changed[0], payment, start, now)
    # A year is paid at once and opens month by month; a trial of a year is over sooner.
    month = min(end, month_of(start, start)[1]) if price.interval == PlanPrice.Interval.YEAR else end
    periods.open_paid(
        account_id, plan=price.plan, starts_at=start, ends_at=month, paid_until=end, source_key=payment.key, now=now
    )
    return ""


def _give_back(changed: CreditPeriod, payment: Transaction, at: datetime, now: datetime) -> None:
    """A month that a year takes the place of was credited from then on: its credits for that time go back unused."""
    wanted = upgrades.share_left(changed.allocation, changed, at)
    for grant in Grant.objects.filter(period=changed, kind=Grant.Kind.ALLOCATION, remaining__gt=0).order_by("id"):
        taken = min(wanted, grant.remaining)
        if taken > 0:
            reason = f"Paddle {payment.id}: replaced by what was paid for instead."
            grants.void(grant, taken, source_key=f"{payment.key}:replaces:{grant.pk}", reason=reason, now=now)
        wanted -= taken


def _end_plan(account_id: uuid.UUID, now: datetime) -> None:
    """Draw the consequences of what is over. Only the subscription that pays for the open period can end it."""
    with locked([account_id], now, savepoint=False):
        # An event that holds one of the rows tells something newer, which is followed the next time.
        over = list(Subscription.objects.over().filter(account=account_id).select_for_update(skip_locked=True))
        waiting = set(
            Transaction.objects.waiting().filter(account=account_id).values_list("subscription_id", flat=True)
        )
        current = CreditPeriod.objects.filter(account_id=account_id, closed_at=None, paid_until__isnull=False).first()
        payment = _opened_by(current) if current else None
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


def _opened_by(current: CreditPeriod) -> Transaction | None:
    """The payment that opened this period, or the first month of its year, as the ledger has it."""
    keys = LedgerEntry.objects.filter(
        account_id=current.account_id,
        kind=LedgerEntry.Kind.ALLOCATION,
        period__anchor=current.anchor,
        source_key__startswith="paddle:txn_",
    ).values_list("source_key", flat=True)
    own = Transaction.objects.filter(account=current.account_id, id__in={key.split(":")[1] for key in keys})
    return own.exclude(period_starts_at=None).order_by("period_starts_at").first()


def _ended_at(subscription: Subscription, current: CreditPeriod | None, now: datetime) -> datetime | None:
    """When it ended; None while its grace lasts."""
    match subscription.status:
        case "canceled":
            return min(subscription.canceled_at or subscription.snapshot_at, now)
        case "paused":
            return min(subscription.paused_at or subscription.snapshot_at, now)
    paid_until = current.paid_until if current else None
    grace = (paid_until or subscription.snapshot_at) + settings.PAST_DUE_GRACE
    return grace if grace <= now else None
