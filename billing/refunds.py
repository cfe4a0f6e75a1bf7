"""Refunds and chargebacks take back credits; their reversals restore them (P4).

Paddle refunds amounts, not quantities. Of a line of q credits that cost T, floor(q · back / T) are taken back, where
`back` is all that was refunded or charged back of it so far, less what was reversed; the difference to what was taken
already is booked. So neither order nor repetition matters. Of a plan's payment that went back as a whole, what is left
of the credits it gave is taken.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal

from django.db.models import Q, QuerySet, Sum

from billing.models import Adjustment, Line, Transaction
from credits.ledger import grants as ledger_grants
from credits.ledger import periods
from credits.models import CreditPeriod, Grant, LedgerEntry

TAKING = {"refund", "chargeback", "chargeback_warning"}
RETURNING = {"chargeback_reverse", "chargeback_warning_reverse"}
# A chargeback that was won is itself marked `reversed`; its reversal counts against it.
TAKEN = {"approved", "reversed"}
TAX = "tax"
ZERO = Decimal(0)


def reconcile(payment: Transaction, now: datetime) -> None:
    """Take back or restore credits until a payment's grants agree with its adjustments. The wallet must be locked."""
    adjustments = list(Adjustment.objects.filter(transaction_id=payment.id))
    if not adjustments:
        return
    given = Grant.objects.filter(account_id=payment.account_id).select_related("period").order_by("-kind", "id")
    grants = list(given.filter(Q(source_key=payment.key) | Q(source_key__startswith=f"{payment.key}:")))
    # Voiding bought credits charges their usage to the plan's credits, so bought credits come first.
    for grant in grants:
        line = next((line for line in payment.lines if payment.key_of(line) == grant.source_key), None)
        if line:
            _match(grant, _credits_back(payment, line, adjustments), payment, now)
    whole = sum(_sign(each) * each.total for each in adjustments) >= payment.total > 0
    _reconcile_plan(payment, [grant for grant in grants if grant.period], whole, now)


def _reconcile_plan(payment: Transaction, grants: list[Grant], whole: bool, now: datetime) -> None:
    current = grants and CreditPeriod.objects.filter(account_id=payment.account_id, closed_at=None).first()
    if not current:
        return
    # The grant that opened a period has the payment's own key; one that only grew it has a number after it.
    opened = next((grant for grant in grants if grant.source_key == payment.key), None)
    of_this_year = bool(opened and opened.period and opened.period.anchor == current.anchor)
    for together, most in _left(current, grants, opened):
        for grant in together:
            grant.refresh_from_db(fields=["remaining"])
            wanted = min(_taken(grant, payment) + grant.remaining, most) if whole else ZERO
            _match(grant, wanted, payment, now)
            most -= wanted
    # Last, because the clock opens the months that are paid for again.
    until = current.ends_at if whole else payment.period_ends_at
    if of_this_year and until and current.paid_until != until:
        periods.pay_until(current, until, now)


def _left(current: CreditPeriod, grants: list[Grant], opened: Grant | None) -> Iterator[tuple[list[Grant], Decimal]]:
    """Yields grants of the open period that came from a payment, with the most that they hold of it together."""
    yield from (([grant], grant.amount) for grant in grants if grant.period_id == current.id)
    here = Grant.objects.filter(period=current).order_by("id")
    if opened and _is_later_month(current, opened):
        # An upgrade's share of the month is its own payment's.
        yield list(here.filter(source_key__startswith="clock:")), opened.amount
    earlier = CreditPeriod.objects.filter(account_id=current.account_id, starts_at__lt=current.starts_at)
    before = earlier.order_by("-starts_at").first()
    given = sum((grant.amount for grant in grants if before and grant.period_id == before.id), ZERO)
    if before and opened and _is_later_month(before, opened):
        given = opened.amount
    if given:
        # A backdated period rolled over by itself, beside the rest.
        yield list(here.filter(kind=Grant.Kind.ROLLOVER)), given


def _is_later_month(period: CreditPeriod, opened: Grant) -> bool:
    """Whether the clock opened this period, of the year that began with `opened`."""
    return bool(opened.period and opened.period_id != period.id and opened.period.anchor == period.anchor)


def money_back(payment: Transaction, line: Line, adjustments: Iterable[Adjustment]) -> int:
    """Returns the money of this line that went back, in minor units with tax, at least 0.

    An adjustment that names no lines is shared by all lines in proportion to their totals.
    """
    named = unnamed = 0
    for adjustment in adjustments:
        if not adjustment.items:
            unnamed += _sign(adjustment) * adjustment.total
        # Tax alone goes back where it should not have been charged: what was bought stays bought.
        items = [item for item in adjustment.items if item["type"] != TAX]
        of_line = [item["total"] for item in items if item["line_item_id"] == line.id]
        named += _sign(adjustment) * sum(of_line)
    return max(named + (unnamed * line.total // payment.total if payment.total else 0), 0)


def buying_blocked(account_id: uuid.UUID) -> bool:
    """Returns whether a payment of this account was charged back and not returned."""
    own = Transaction.objects.filter(account=account_id).values("id")
    charges = Adjustment.objects.filter(transaction_id__in=own, action__startswith="chargeback")
    back: dict[str, int] = {}
    for charge in charges:
        back[charge.transaction_id] = back.get(charge.transaction_id, 0) + _sign(charge) * charge.total
    return any(money > 0 for money in back.values())


def _sign(adjustment: Adjustment) -> int:
    """Returns 1 where its money went back, -1 where it came again, 0 where it did neither."""
    if adjustment.action in TAKING and adjustment.status in TAKEN:
        return 1
    return -1 if adjustment.action in RETURNING and adjustment.status == "approved" else 0


def _credits_back(payment: Transaction, line: Line, adjustments: Iterable[Adjustment]) -> Decimal:
    back, paid = money_back(payment, line, adjustments), line.total - _tax_back(line, adjustments)
    if back == 0:
        return ZERO
    return Decimal(line.quantity if back >= paid else line.quantity * back // line.total)


def _tax_back(line: Line, adjustments: Iterable[Adjustment]) -> int:
    """Tax that went back by itself is no longer part of what the line cost."""
    return sum(
        _sign(adjustment) * item["total"]
        for adjustment in adjustments
        for item in adjustment.items
        if item["type"] == TAX and item["line_item_id"] == line.id
    )


def _match(grant: Grant, wanted: Decimal, payment: Transaction, now: datetime) -> None:
    """Take back or restore, until `wanted` credits of the grant are taken because this payment's money went back."""
    taken = _taken(grant, payment)
    key = f"{_key(grant, payment)}{_entries(grant, payment).count()}"
    reason = f"Paddle {payment.id}: {wanted:f} credits' money went back."
    # Operators void and restore as well: there may be less to take, or less to give back.
    more = min(wanted - taken, grant.amount - grant.withdrawn)
    if more > 0:
        ledger_grants.void(grant, more, source_key=key, reason=reason, now=now)
    elif wanted < taken and (less := min(taken - wanted, ledger_grants.taken_back(grant))) > 0:
        ledger_grants.restore(grant, less, source_key=key, reason=reason, now=now)


def _taken(grant: Grant, payment: Transaction) -> Decimal:
    total: Decimal = _entries(grant, payment).aggregate(total=Sum("amount", default=ZERO))["total"]
    return -total


def _entries(grant: Grant, payment: Transaction) -> QuerySet[LedgerEntry]:
    """Returns the ledger's entries of this payment's refunds for this grant, without operators' own voids."""
    entries = LedgerEntry.objects.filter(account_id=grant.account_id, grant=grant)
    return entries.filter(source_key__startswith=_key(grant, payment))


def _key(grant: Grant, payment: Transaction) -> str:
    return f"{payment.key}:back:{grant.pk}:"
