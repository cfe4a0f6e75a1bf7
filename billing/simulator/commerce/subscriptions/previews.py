"""Previews: what a change, the next bill or a charge would be, without doing it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import cast

from billing.simulator.bodies.subscriptions import SubscriptionChange
from billing.simulator.commerce import customers, transactions
from billing.simulator.commerce.subscriptions import changes, collection, periods, rules
from billing.simulator.commerce.subscriptions.proration import ItemChange
from billing.simulator.commerce.transactions import OrderLine
from billing.simulator.schemas.amounts import PreviewedDetails
from billing.simulator.schemas.subscriptions import Subscription, SubscriptionFields, SubscriptionPreview, UpdateSummary
from billing.simulator.schemas.times import parse, period
from billing.simulator.schemas.transactions import PreviewedTransaction, Transaction
from billing.simulator.state import State


def change(state: State, subscription: Subscription, body: SubscriptionChange) -> SubscriptionPreview:
    """Returns what `changes.change` would do. Raises the same `RequestError`."""
    planned, bill = changes.plan(state, subscription, body)
    changed = deepcopy(subscription)
    changes.apply(changed, body, planned)
    credit = customers.balance(state, subscription["customer_id"], subscription["currency_code"])
    # The immediate bill changes the balance that the next one can use.
    if bill:
        totals = bill["details"]["totals"]
        credit += int(totals["credit_to_balance"]) - int(totals["credit"])
    later = planned.later if planned else []
    following = next_transaction(state, changed, more=later, credit=credit)
    recurring = recurring_details(state, changed)
    fields = cast("SubscriptionFields", {name: value for name, value in changed.items() if name != "id"})
    return {
        **fields,
        "immediate_transaction": shown(bill) if bill else None,
        "next_transaction": following,
        "recurring_transaction_details": recurring,
        "update_summary": _summary(state, subscription, planned) if planned else None,
    }


def next_transaction(
    state: State, subscription: Subscription, *, more: Sequence[OrderLine] = (), credit: int | None = None
) -> PreviewedTransaction | None:
    """Returns the next bill as it would be now, or None where none is to come."""
    at = subscription["next_billed_at"]
    if not at or subscription["status"] not in rules.RUNNING | {"past_due"}:
        return None
    starts = parse(at)
    coming = period(starts, starts + periods.span(subscription["billing_cycle"]))
    order = [*collection.next_order(state, subscription), *more]
    bill = transactions.bill(state, subscription, order, origin="subscription_recurring", period=coming, credit=credit)
    return shown(bill)


def recurring_details(state: State, subscription: Subscription) -> PreviewedDetails:
    """Returns what each further period costs, without credit and without what is billed once."""
    order = collection.items_order(subscription)
    bill = transactions.bill(state, subscription, order, origin="subscription_recurring", period=None, credit=0)
    return shown(bill)["details"]


def shown(bill: Transaction) -> PreviewedTransaction:
    """Returns a bill that was not issued, as previews carry it: its lines have no ids."""
    details = bill["details"]
    return {
        "billing_period": bill["billing_period"],
        "details": {
            "tax_rates_used": details["tax_rates_used"],
            "totals": details["totals"],
            "line_items": [
                {
                    "price_id": line["price_id"],
                    "quantity": line["quantity"],
                    "proration": line["proration"],
                    "tax_rate": line["tax_rate"],
                    "unit_totals": line["unit_totals"],
                    "totals": line["totals"],
                    "product": line["product"],
                }
                for line in details["line_items"]
            ],
        },
        "adjustments": [],
    }


def _summary(state: State, subscription: Subscription, planned: ItemChange) -> UpdateSummary | None:
    order = planned.now or planned.later
    if not order:
        return None
    bill = transactions.bill(state, subscription, order, origin="subscription_update", period=None, credit=0)
    totals = [int(line["totals"]["total"]) for line in bill["details"]["line_items"]]
    charged, given_back = sum(t for t in totals if t > 0), -sum(t for t in totals if t < 0)
    currency = subscription["currency_code"]
    return {
        "credit": {"amount": str(given_back), "currency_code": currency},
        "charge": {"amount": str(charged), "currency_code": currency},
        "result": {
            "action": "credit" if given_back > charged else "charge",
            "amount": str(abs(charged - given_back)),
            "currency_code": currency,
        },
    }
