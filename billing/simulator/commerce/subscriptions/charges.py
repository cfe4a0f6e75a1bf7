"""One-time charges to the card of a subscription."""

from __future__ import annotations

from collections.abc import Sequence

from billing.simulator.commerce import catalogue, transactions
from billing.simulator.commerce.subscriptions import collection, rules
from billing.simulator.commerce.transactions import OrderLine
from billing.simulator.errors import RequestError
from billing.simulator.schemas.subscriptions import Subscription
from billing.simulator.schemas.transactions import Transaction
from billing.simulator.state import State


def charge(
    state: State, subscription: Subscription, order: Sequence[OrderLine], *, now: bool, apply_anyway: bool
) -> None:
    """Bill something once: now or with the next period. Raises `RequestError` and bills nothing."""
    bill = bill_once(state, subscription, order)
    if not now:
        put_off(state, subscription, order)
        state.emit("subscription.updated", subscription)
        return
    if collection.will_decline(state, subscription, bill) and not apply_anyway:
        raise RequestError("subscription_payment_declined", "The payment was declined; nothing was changed.")
    transactions.issue(state, bill)
    collection.collect(state, subscription, bill)


def bill_once(state: State, subscription: Subscription, order: Sequence[OrderLine]) -> Transaction:
    """Returns the bill of a charge, which is not issued yet. Raises `RequestError`."""
    rules.check_changeable(subscription)
    rules.check_renewal_lock(state, subscription)
    for line in order:
        price = catalogue.buyable(state, line.price_id, line.quantity, out_of_range="subscription_quantity_not_valid")
        if price["billing_cycle"]:
            raise RequestError(
                "subscription_new_items_not_valid", "Only prices without a billing cycle can be charged once."
            )
    # Charged in full: a charge belongs to the period, but is not prorated.
    period = subscription["current_billing_period"]
    bill = transactions.bill(state, subscription, order, origin="subscription_charge", period=period)
    transactions.check_minimum(state, bill, code="subscription_update_transaction_balance_less_than_charge_limit")
    return bill


def put_off(state: State, subscription: Subscription, order: Sequence[OrderLine]) -> None:
    """Bill these lines with the next period."""
    for price_id, quantity, proration in order:
        state.backstage(subscription)["pending"].append(
            {"price_id": price_id, "quantity": quantity, "proration": proration}
        )
