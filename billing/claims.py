"""Payments that nothing links to an account: an operator says whose they are, or that nothing is to be given (B10)."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.utils import timezone

from billing import fulfilment, ownership
from billing.models import Transaction


class NotClaimable(ValueError):
    """The payment has an owner already, or waits for nothing."""


def claim(payment_id: str, account_id: uuid.UUID) -> Transaction:
    """Give an unclaimed payment, and the subscription it began, to an account, with all that follows from it."""
    with transaction.atomic():
        payment = Transaction.objects.unclaimed().select_for_update().filter(id=payment_id).first()
        if payment is None:
            raise NotClaimable("This payment has an owner already.")
        ownership.give(payment, account_id)
        fulfilment.settle(account_id, [payment_id])
    payment.refresh_from_db()
    return payment


def dismiss(payment_id: str) -> Transaction:
    """Note that a payment gives nothing here: it was for something else, or was made good by hand."""
    with transaction.atomic():
        payment = Transaction.objects.waiting().select_for_update().filter(id=payment_id).first()
        if payment is None:
            raise NotClaimable("This payment waits for nothing.")
        payment.settled_at, payment.held_up = timezone.now(), ""
        payment.save(update_fields=["settled_at", "held_up"])
    return payment
