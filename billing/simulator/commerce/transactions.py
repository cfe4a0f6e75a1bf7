"""Transactions: their lines and totals, and their way from draft to completed.

A transaction is a draft, ready once the address is known, paid when the money came, then completed. A bill of a
subscription starts as billed, and is past due when its card is declined. `payments.py` takes the money.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from decimal import Decimal
from typing import NamedTuple

from billing.simulator.commerce import catalogue, customers, money
from billing.simulator.commerce.money import Line
from billing.simulator.errors import RequestError, invalid_field, not_found
from billing.simulator.schemas import transactions as schemas
from billing.simulator.schemas.amounts import Proration
from billing.simulator.schemas.catalogue import CustomData
from billing.simulator.schemas.subscriptions import Subscription
from billing.simulator.schemas.times import Period, iso
from billing.simulator.schemas.transactions import Item, Transaction
from billing.simulator.state import State

UNPAID = {"draft", "ready", "billed", "past_due"}
SOLD_IN_CHECKOUT = {"api", "web"}


class OrderLine(NamedTuple):
    """A price, how often (a negative quantity gives money back), and Paddle's proration or None."""

    price_id: str
    quantity: int
    proration: Proration | None = None


def create(
    state: State,
    order: Sequence[OrderLine],
    *,
    customer_id: str | None,
    address_id: str | None,
    custom_data: CustomData,
    currency: str = "USD",
    link: str | None = None,
) -> Transaction:
    """Create a transaction for the checkout. Raises `RequestError` and makes nothing."""
    for line in order:
        catalogue.buyable(state, line.price_id, line.quantity, out_of_range="transaction_item_quantity_out_of_range")
    _check_together(state, order, currency)
    _check_parties(state, customer_id, address_id)
    made = draft(state, order, origin="api", currency=currency, link=link)
    made |= {"customer_id": customer_id, "custom_data": custom_data}
    check_minimum(state, made, code="transaction_balance_less_than_charge_limit")
    state.transactions.add(made)
    state.emit("transaction.created", made)
    if address_id:
        set_address(state, made, address_id)
    return made


def draft(
    state: State, order: Sequence[OrderLine], *, origin: str, currency: str = "USD", link: str | None = None
) -> Transaction:
    """Returns a draft with these lines and no tax yet. It is not stored: the caller may still decide against it."""
    now, identifier = iso(state.moment()), state.new_id("txn")
    items: list[Item] = [
        {
            # A later change of the price must not change this transaction.
            "price": deepcopy(state.prices.get(line.price_id)),
            "quantity": line.quantity,
            "proration": deepcopy(line.proration),
        }
        for line in order
    ]
    lines = _lines(state, items, [state.new_id("txnitm") for _ in items], origin)
    return schemas.transaction(
        identifier,
        now,
        origin=origin,
        currency=currency,
        link=link or state.payment_link,
        items=items,
        details=money.details(lines, tax=Decimal(0), currency=currency),
    )


def set_address(state: State, transaction: Transaction, address_id: str) -> None:
    """Add the tax of the address; from now on the transaction can be paid."""
    add_tax(state, transaction, address_id)
    transaction["status"] = "ready"
    state.emit("transaction.ready", transaction)


def add_tax(state: State, transaction: Transaction, address_id: str, *, credit: int = 0) -> None:
    """Add the tax of this address, and use at most `credit` of the customer's balance."""
    transaction["address_id"] = address_id
    ids = [item["id"] for item in transaction["details"]["line_items"]]
    lines = _lines(state, transaction["items"], ids, transaction["origin"])
    transaction["details"] = money.details(lines, tax=state.tax, currency=transaction["currency_code"], credit=credit)


def check_minimum(state: State, transaction: Transaction, *, code: str) -> None:
    total = int(transaction["details"]["totals"]["grand_total"])
    # Paddle charges nothing at all, or no less than the minimum.
    if 0 < total < state.minimum:
        limit = money.written(state.minimum, transaction["currency_code"])
        raise RequestError(code, f"The transaction's balance is less than what can be charged, {limit}.")


def bill(
    state: State,
    subscription: Subscription,
    order: Sequence[OrderLine],
    *,
    origin: str,
    period: Period | None,
    credit: int | None = None,
) -> Transaction:
    """Returns a bill of a subscription, taxed and with the customer's balance used; not stored and not paid yet.

    `credit` stands in for the balance where a preview looks ahead.
    """
    made = draft(state, order, origin=origin, currency=subscription["currency_code"])
    made |= {
        "status": "billed",
        "customer_id": subscription["customer_id"],
        "subscription_id": subscription["id"],
        "custom_data": deepcopy(subscription["custom_data"]),
        "billing_period": period,
        "billed_at": made["created_at"],
    }
    if credit is None:
        credit = customers.balance(state, made["customer_id"], made["currency_code"])
    add_tax(state, made, subscription["address_id"], credit=credit)
    return made


def issue(state: State, transaction: Transaction) -> None:
    """Store a bill and take the credit that it uses."""
    used = int(transaction["details"]["totals"]["credit"])
    if used:
        customers.add_to_balance(state, transaction["customer_id"], transaction["currency_code"], -used)
    state.transactions.add(transaction)
    state.emit("transaction.created", transaction)
    state.emit("transaction.billed", transaction)


def cancel(state: State, transaction: Transaction) -> None:
    """Raises `RequestError` `transaction_immutable` for what is paid or canceled."""
    if transaction["status"] not in UNPAID:
        raise RequestError(
            "transaction_immutable", f"The transaction is {transaction['status']} and cannot be changed."
        )
    # The credit that the bill had taken goes back.
    used = int(transaction["details"]["totals"]["credit"])
    if used:
        customers.add_to_balance(state, transaction["customer_id"], transaction["currency_code"], used)
    transaction["status"] = "canceled"
    state.emit("transaction.canceled", transaction)


def of_subscription(state: State, subscription: Subscription) -> list[Transaction]:
    return [row for row in state.transactions.rows() if row["subscription_id"] == subscription["id"]]


def _lines(state: State, items: Iterable[Item], ids: Iterable[str], origin: str) -> list[Line]:
    return [
        Line(
            id=identifier,
            price=item["price"],
            product=deepcopy(state.products.get(item["price"]["product_id"])),
            quantity=item["quantity"],
            proration=item["proration"],
            # A change of card charges nothing, and neither does a checkout that begins a trial.
            free=origin == "subscription_payment_method_change"
            or (origin in SOLD_IN_CHECKOUT and item["price"]["trial_period"] is not None),
        )
        for identifier, item in zip(ids, items, strict=True)
    ]


def _check_together(state: State, order: Sequence[OrderLine], currency: str) -> None:
    if len({line.price_id for line in order}) < len(order):
        raise RequestError("transaction_duplicate_price_ids", "A price may stand in one line only.")
    prices = [state.prices.get(line.price_id) for line in order]
    if any(price["unit_price"]["currency_code"] != currency for price in prices):
        raise invalid_field("currency_code", "The simulator sells a price in its own currency only.")
    # One transaction makes one subscription, which has one cycle.
    cycles = [price["billing_cycle"] for price in prices if price["billing_cycle"]]
    if any(cycle != cycles[0] for cycle in cycles):
        raise RequestError(
            "transaction_price_different_billing_cycle", "All recurring prices must share a billing cycle."
        )


def _check_parties(state: State, customer_id: str | None, address_id: str | None) -> None:
    if customer_id:
        state.customers.get(customer_id)
    if address_id and not customer_id:
        raise RequestError("transaction_customer_is_required_with_address", "An address needs its customer.")
    if address_id and state.addresses.get(address_id)["customer_id"] != customer_id:
        raise not_found(address_id)
