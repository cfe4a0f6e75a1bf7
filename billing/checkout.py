"""Selling: from a customer's wish to a transaction that Paddle's checkout can open (B4–B6).

Price and quantity are looked up here; the browser gets no more than the transaction's id, and credits come with the
completed transaction's webhook, never from here. Paddle has no idempotency keys, so the wish is stored first: the same
form sent twice finds it, and one whose answer was lost is looked for before it is asked for again.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode

from django.conf import settings
from django.db import transaction as database
from django.db.models import Q, Sum
from django.db.models.enums import TextChoices
from django.db.models.functions import Coalesce
from django.utils import timezone

from billing import refunds
from billing.models import Customer, PlanPrice, Purchase, Subscription, Transaction
from billing.paddle import api, snapshots
from billing.paddle.api import PaddleFault
from billing.refusals import PurchaseRefused
from billing.subscriptions import A_DAY, PROCESSING, SubscriptionState, state_of
from credits.models import Grant
from sidekick.accounts.models import User

ANSWER_WITHIN = timedelta(seconds=90)
LOOK_EVERY = timedelta(seconds=10)
DISPUTED = "Your bank disputed a payment. Until that is settled nothing can be bought; write to us about it."
NOT_SET_UP = "This can't be bought yet. Please come back later."


class PurchaseState(TextChoices):
    """The progress of a purchase."""

    OPENING = "opening", "Paddle has not answered yet"
    READY = "ready", "waits to be paid"
    PAID = "paid", "paid, being processed"
    DONE = "done", "given"
    CANCELED = "canceled"


STATES = {
    "paid": PurchaseState.PAID,
    "billed": PurchaseState.PAID,
    "completed": PurchaseState.PAID,
    "canceled": PurchaseState.CANCELED,
}


def why_not(account: User, state: SubscriptionState) -> str:
    """Returns why no additional credits can be bought now, a sentence for the customer, or "" (B4)."""
    if state.may_resume and state.price and state.price.plan.may_buy_credits:
        return f"Additional credits come with {state.price.plan.name}: resume it first."
    if not state.plan.may_buy_credits:
        seller = PlanPrice.objects.per_credit().first()
        return f"Additional credits come with {seller.plan.name}." if seller else "Additional credits are not for sale."
    if not PlanPrice.objects.per_credit().known_to_paddle().filter(plan=state.plan).exists():
        return NOT_SET_UP
    if refunds.buying_blocked(account.id):
        return DISPUTED
    return ""


def begin(account: User, price: PlanPrice, quantity: int, *, token: uuid.UUID, now: datetime | None = None) -> Purchase:
    """Returns a purchase whose transaction the checkout can open; the same form sent again returns the same one.

    Raises `PurchaseRefused`, and `PaddleFault` when Paddle refused or did not answer: nothing was charged then, and
    sending the form again finds out what became of it before asking anew.
    """
    now = now or timezone.now()
    _check(account, price, quantity, state_of(account, now=now))
    purchase, _ = Purchase.objects.get_or_create(
        account=account,
        # A form that was changed and sent again is another wish.
        token=uuid.uuid5(token, f"{price.pk} × {quantity}"),
        defaults={
            "price": price,
            "quantity": quantity,
            "amount": price.amount * quantity,
            "currency": price.currency,
            "created_at": now,
        },
    )
    unasked = Q(asked_at=None) | Q(asked_at__lte=now - ANSWER_WITHIN)
    mine = Purchase.objects.filter(unasked, id=purchase.id, transaction_id="").update(asked_at=now)
    if mine:
        _open(purchase, account, looked_before=purchase.asked_at is not None)
    purchase.refresh_from_db()
    return purchase


def purchase_state(purchase: Purchase) -> PurchaseState:
    if not purchase.transaction_id:
        return PurchaseState.OPENING
    transaction = Transaction.objects.filter(id=purchase.transaction_id).first()
    if transaction and transaction.status == "completed" and transaction.settled_at:
        return PurchaseState.DONE
    return STATES.get(transaction.status, PurchaseState.READY) if transaction else PurchaseState.READY


def look_again(purchase: Purchase, *, now: datetime | None = None) -> Purchase:
    """Ask Paddle for its transaction, at most every ten seconds, when its event is late or its answer was lost.

    Returns the purchase, reloaded. Raises nothing when Paddle does not answer.
    """
    now = now or timezone.now()
    # A purchase that Paddle refused has no `asked_at`: there is nothing to look for.
    due = Purchase.objects.filter(id=purchase.id, asked_at__lte=now - LOOK_EVERY)
    if purchase_state(purchase) in {PurchaseState.DONE, PurchaseState.CANCELED} or not due.update(asked_at=now):
        return purchase
    try:
        found = api.transaction(purchase.transaction_id) if purchase.transaction_id else _looked_for(purchase)
        if found:
            _take(purchase, found)
    except PaddleFault:
        pass  # The event will come, and the waiting page asks again.
    purchase.refresh_from_db()
    return purchase


def given(purchase: Purchase) -> Decimal:
    """Returns the credits that it brought so far."""
    brought = Grant.objects.filter(
        account_id=purchase.account_id,
        kind=Grant.Kind.PURCHASED,
        source_key__startswith=f"paddle:{purchase.transaction_id}:",
    )
    total: Decimal = brought.aggregate(total=Sum("amount", default=Decimal(0)))["total"]
    return total


def checkout_link(transaction_id: str, return_to: str) -> str:
    """Returns the address of the simulator's checkout, "" for the real Paddle, which opens its own over our page."""
    if not settings.PADDLE_SIMULATED:
        return ""
    return f"{settings.PADDLE_API_URL}/checkout/{transaction_id}?{urlencode({'return_to': return_to})}"


def _check(account: User, price: PlanPrice, quantity: int, state: SubscriptionState) -> None:
    if price.interval == PlanPrice.Interval.CREDIT:
        if refusal := why_not(account, state):
            raise PurchaseRefused(refusal)
        if price.plan_id != state.plan.slug:
            raise PurchaseRefused("These credits are not for your plan.")
    elif state.subscription:
        raise PurchaseRefused("You have a plan already: change it here instead of buying a second one.")
    elif refunds.buying_blocked(account.id):
        raise PurchaseRefused(DISPUTED)
    elif plan_is_on_its_way(account):
        raise PurchaseRefused(PROCESSING)
    if not price.paddle_price_id or not price.amount:
        raise PurchaseRefused(NOT_SET_UP)
    if not 1 <= quantity <= price.most:
        raise PurchaseRefused(f"Choose between 1 and {price.most}.")
    if quantity < price.least:
        raise PurchaseRefused(
            f"Paddle charges no less than {_least_charge(price)}: choose {price.least} credits or more."
        )


def plan_is_on_its_way(account: User) -> bool:
    """Returns whether a plan is paid for whose subscription is not here yet: a second one would be paid as well."""
    bought = Purchase.objects.filter(account=account).exclude(price__interval=PlanPrice.Interval.CREDIT)
    paid = Transaction.objects.filter(account=account, id__in=bought.values("transaction_id"))
    # A checkout may stand open for days before it is paid.
    paid = paid.alias(paid_at=Coalesce("billed_at", "created_at"))
    unknown = ~Q(subscription_id__in=Subscription.objects.filter(account=account).values("id"))
    lately = Q(status="completed", paid_at__gt=timezone.now() - A_DAY)
    return paid.filter(Q(status__in=["paid", "billed"]) | (lately & unknown)).exists()


def _least_charge(price: PlanPrice) -> str:
    return str(PlanPrice(amount=settings.PADDLE_MINIMUM_CHARGE, currency=price.currency))


def _open(purchase: Purchase, account: User, *, looked_before: bool) -> None:
    """Have Paddle make the transaction. Only the request that marked the purchase as asked comes here."""
    try:
        customer_id = _customer(account)
        found = _looked_for(purchase) if looked_before else None
        _take(
            purchase,
            found
            or api.open_transaction(
                price_id=purchase.price.paddle_price_id,
                quantity=purchase.quantity,
                customer_id=customer_id,
                custom_data={
                    "account_id": str(account.id),
                    "purchase_id": str(purchase.id),
                    "kind": "credits" if purchase.price.interval == PlanPrice.Interval.CREDIT else "plan",
                },
            ),
        )
    except PaddleFault as fault:
        if fault.code == "not_asked" or not (fault.unknown_outcome or looked_before):
            # Nothing was asked, so nobody has to wait for an answer before trying again.
            Purchase.objects.filter(id=purchase.id).update(asked_at=purchase.asked_at)
        raise


def _take(purchase: Purchase, entity: api.Entity) -> None:
    Purchase.objects.filter(id=purchase.id, transaction_id="").update(transaction_id=entity["id"])
    snapshots.upsert_response(entity)


def _looked_for(purchase: Purchase) -> api.Entity | None:
    customer = Customer.objects.filter(account=purchase.account_id).first()
    return api.find_transaction(
        customer_id=customer.id if customer else None, purchase_id=str(purchase.id), since=purchase.created_at
    )


def _customer(account: User) -> str | None:
    """Returns Paddle's id of this account's customer, made when there is none. None where the checkout must ask."""
    known = Customer.objects.filter(account=account).first()
    if known:
        return known.id if known.status == "active" else None
    customer_id = api.customer_of(account.id, email=account.email, name=account.name)
    if customer_id is None:
        return None
    with database.atomic():
        blank = {"email": account.email, "status": "active", "snapshot_at": snapshots.BEFORE_ALL, "data": {}}
        customer, _ = Customer.objects.get_or_create(id=customer_id, defaults=blank)
        Customer.objects.filter(id=customer.id, account=None).update(account=account)
    return customer_id
