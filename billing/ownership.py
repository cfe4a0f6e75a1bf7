"""Owners of payments, subscriptions and customers (B10). Nothing that a buyer's browser can write decides them.

A transaction belongs to an account when we made it for a `Purchase` of that account, when it is of a subscription
that belongs to it, or when two things that only our API key can write agree: the transaction's and its customer's
`account_id`. Anyone with the public client token can pay for any active price with any `custom_data`; such payments,
of origin `web`, stay unclaimed until an operator says whose they are.
"""

from __future__ import annotations

import uuid

from django.db import transaction as database
from django.utils import timezone

from billing import fulfilment
from billing.models import Adjustment, Customer, Purchase, Snapshot, Subscription, Transaction
from sidekick.accounts.models import User

MADE_BY_US = "api"


class NotClaimable(ValueError):
    """The payment has an owner already, or waits for nothing."""


def resolve_owner(snapshot: Snapshot) -> set[uuid.UUID]:
    """Set the account of a snapshot that is not saved yet, and of stored ones that it tells of.

    Returns the accounts to call `fulfilment.fulfil` for.
    """
    match snapshot:
        case Transaction():
            return _of_transaction(snapshot)
        case Subscription():
            return _of_subscription(snapshot)
        case Customer():
            return _of_customer(snapshot)
        case Adjustment():
            owners = Transaction.objects.filter(id=snapshot.transaction_id, account__isnull=False)
            return {owner for owner in owners.values_list("account_id", flat=True) if owner}
        case _:
            raise TypeError(type(snapshot))


def give(transaction: Transaction, account_id: uuid.UUID) -> None:
    """Give a payment to an account, and with it its subscription and all payments of that."""
    transaction.account_id = account_id
    transaction.save(update_fields=["account"])
    _give_subscription(transaction.subscription_id, account_id)


def claim(payment_id: str, account_id: uuid.UUID) -> Transaction:
    """An operator gives an unclaimed payment, and the subscription it began, to an account, with all that follows.

    Raises `NotClaimable` where the payment has an owner.
    """
    with database.atomic():
        payment = Transaction.objects.unclaimed().select_for_update().filter(id=payment_id).first()
        if payment is None:
            raise NotClaimable("This payment has an owner already.")
        give(payment, account_id)
        fulfilment.fulfil(account_id, [payment_id])
    payment.refresh_from_db()
    return payment


def dismiss(payment_id: str) -> Transaction:
    """An operator notes that a payment gives nothing here: it was for something else, or was made good by hand.

    Raises `NotClaimable` where the payment waits for nothing.
    """
    with database.atomic():
        payment = Transaction.objects.waiting().select_for_update().filter(id=payment_id).first()
        if payment is None:
            raise NotClaimable("This payment waits for nothing.")
        payment.settled_at, payment.held_up = timezone.now(), ""
        payment.save(update_fields=["settled_at", "held_up"])
    return payment


def _give_subscription(subscription_id: str, account_id: uuid.UUID) -> None:
    if subscription_id:
        Subscription.objects.filter(id=subscription_id, account=None).update(account=account_id)
        Transaction.objects.filter(subscription_id=subscription_id, account=None).update(account=account_id)


def _of_transaction(transaction: Transaction) -> set[uuid.UUID]:
    known = transaction.account_id
    transaction.account_id = known or _owner(transaction)
    if transaction.account_id is None:
        return set()
    _give_subscription(transaction.subscription_id, transaction.account_id)
    waits = transaction.status == "completed" and transaction.settled_at is None
    # Other payments of its subscription waited for an owner.
    brings_more = known is None and transaction.subscription_id
    return {transaction.account_id} if waits or brings_more else set()


def _owner(transaction: Transaction) -> uuid.UUID | None:
    purchase = Purchase.objects.filter(transaction_id=transaction.id).first() or _adopted(transaction)
    if purchase:
        return purchase.account_id
    if transaction.subscription_id:
        # Another payment of the subscription names the owner before the subscription's own event arrives.
        owned = Subscription.objects.filter(id=transaction.subscription_id, account__isnull=False).first()
        paid = Transaction.objects.filter(subscription_id=transaction.subscription_id, account__isnull=False)
        if known := owned or paid.first():
            return known.account_id
    customer = Customer.objects.filter(id=transaction.customer_id, account__isnull=False).first()
    if transaction.origin == MADE_BY_US and customer and customer.account_id in _custom(transaction, "account_id"):
        return customer.account_id
    return None


def _adopted(transaction: Transaction) -> Purchase | None:
    """Returns the purchase it was made for, when Paddle's answer to us got lost and only the webhook tells its id."""
    if transaction.origin != MADE_BY_US:
        return None
    purchase = Purchase.objects.filter(id__in=_custom(transaction, "purchase_id")).first()
    if purchase and not purchase.transaction_id:
        Purchase.objects.filter(id=purchase.id, transaction_id="").update(transaction_id=transaction.id)
    return purchase


def _of_subscription(subscription: Subscription) -> set[uuid.UUID]:
    """A subscription belongs to the account of its payments. Only `subscription.created` names the transaction of
    its checkout."""
    if subscription.account_id:
        return set()
    paid = Transaction.objects.filter(account__isnull=False)
    payment = (
        paid.filter(subscription_id=subscription.id).first()
        or paid.filter(id=subscription.data.get("transaction_id") or "").first()
    )
    if payment is None or payment.account_id is None:
        return set()
    subscription.account_id = payment.account_id
    _give_subscription(subscription.id, payment.account_id)
    return {payment.account_id}


def _of_customer(customer: Customer) -> set[uuid.UUID]:
    if customer.account_id is None:
        customer.account = User.objects.filter(id__in=_custom(customer, "account_id"), paddle_customer=None).first()
    if customer.account_id is None:
        return set()
    affected = set()
    for transaction in Transaction.objects.filter(customer_id=customer.id, account=None, origin=MADE_BY_US):
        if customer.account_id in _custom(transaction, "account_id"):
            give(transaction, customer.account_id)
            affected.add(customer.account_id)
    return affected


def _custom(snapshot: Snapshot, name: str) -> list[uuid.UUID]:
    """An id in `custom_data`, which may hold anything: one or none."""
    custom = snapshot.data.get("custom_data")
    text = custom.get(name) if isinstance(custom, dict) else None
    try:
        return [uuid.UUID(text)] if isinstance(text, str) else []
    except ValueError:
        return []
