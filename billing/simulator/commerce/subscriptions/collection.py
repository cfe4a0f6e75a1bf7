"""The collection of bills with the card on file: declined, recovered, or paid with a new card."""

from __future__ import annotations

from billing.simulator.commerce import payments, transactions
from billing.simulator.commerce.subscriptions import periods, rules
from billing.simulator.commerce.transactions import OrderLine
from billing.simulator.schemas.subscriptions import Subscription
from billing.simulator.schemas.times import iso
from billing.simulator.schemas.transactions import Transaction
from billing.simulator.state import State


def bill_period(state: State, subscription: Subscription) -> None:
    """Bill the current period with everything that was put off until now, and collect it."""
    order = next_order(state, subscription)
    # Also when the payment fails: the bill has these lines now.
    state.backstage(subscription)["pending"] = []
    bill = transactions.bill(
        state,
        subscription,
        order,
        origin="subscription_recurring",
        period=subscription["current_billing_period"],
    )
    transactions.issue(state, bill)
    # A trial that is paid for, or a pause that ended, becomes active.
    was = subscription["status"]
    if collect(state, subscription, bill) and was != "active":
        periods.set_status(subscription, "active")
        state.emit("subscription.activated", subscription)


def items_order(subscription: Subscription) -> list[OrderLine]:
    return [OrderLine(item["price"]["id"], item["quantity"]) for item in subscription["items"]]


def next_order(state: State, subscription: Subscription) -> list[OrderLine]:
    """Returns the lines of the next bill: the items, and those that were put off until then."""
    return items_order(subscription) + [OrderLine(**line) for line in state.backstage(subscription)["pending"]]


def collect(state: State, subscription: Subscription, bill: Transaction) -> bool:
    """Charge the card on file for an issued bill. Returns False if it was declined: then both are past due."""
    if will_decline(state, subscription, bill):
        payments.decline(state, bill, error="expired_card")
        bill["status"] = "past_due"
        state.emit("transaction.past_due", bill)
        state.backstage(subscription).update({"overdue": bill["id"], "failed_at": iso(state.now())})
        periods.set_status(subscription, "past_due")
        state.emit("subscription.past_due", subscription)
        return False
    _pay(state, subscription, bill)
    return True


def will_decline(state: State, subscription: Subscription, bill: Transaction) -> bool:
    charged = int(bill["details"]["totals"]["grand_total"]) > 0
    return charged and state.backstage(subscription)["card"] == "fails"


def recover(state: State, subscription: Subscription, bill: Transaction) -> None:
    """Pay the overdue bill with a good card."""
    _pay(state, subscription, bill)
    state.backstage(subscription).update({"card": "good", "overdue": None, "failed_at": None})
    periods.set_status(subscription, "active")
    state.emit("subscription.activated", subscription)


def card_update(state: State, subscription: Subscription) -> Transaction:
    """Returns the transaction whose checkout takes a new card: the overdue one, or a new one of nothing."""
    rules.check_changeable(subscription, past_due=True)
    overdue = state.backstage(subscription)["overdue"]
    if overdue:
        return state.transactions.get(overdue)
    made = transactions.draft(
        state,
        items_order(subscription),
        origin="subscription_payment_method_change",
        currency=subscription["currency_code"],
    )
    now = made["created_at"]
    made |= {"customer_id": subscription["customer_id"], "custom_data": subscription["custom_data"]}
    made |= {"subscription_id": subscription["id"], "billing_period": {"starts_at": now, "ends_at": now}}
    transactions.add_tax(state, made, subscription["address_id"])
    made["status"] = "ready"
    state.transactions.add(made)
    state.emit("transaction.created", made)
    state.emit("transaction.ready", made)
    return made


def _pay(state: State, subscription: Subscription, bill: Transaction) -> None:
    payments.capture(state, bill)
    payments.complete(state, bill)
    subscription["first_billed_at"] = subscription["first_billed_at"] or bill["billed_at"]
