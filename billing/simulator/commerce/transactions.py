"""Transactions: their lines and totals, and their way from draft to completed.

A transaction is made as draft, is ready once the address is known, paid when the money came, then completed. What a
subscription bills starts as billed, and is past due when its card is declined.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from billing.simulator import schemas
from billing.simulator.commerce import catalogue, customers, money
from billing.simulator.commerce.money import Line
from billing.simulator.errors import Refused, invalid
from billing.simulator.schemas import Entity, iso
from billing.simulator.state import State

UNPAID = {"draft", "ready", "billed", "past_due"}


class Wanted(NamedTuple):
    """A line to be: a price, how often (negative gives back), and Paddle's proration or None."""

    price_id: str
    quantity: int
    proration: Entity | None = None


def create(
    state: State,
    wanted: Sequence[Wanted],
    *,
    customer_id: str | None,
    address_id: str | None,
    custom_data: Entity | None,
    currency: str = "USD",
    link: str | None = None,
) -> Entity:
    """What a server asks to be paid for in the checkout. Raises `Refused` and makes nothing."""
    for line in wanted:
        catalogue.price_in(state, line.price_id, line.quantity, out_of_range="transaction_item_quantity_out_of_range")
    _check_together(state, wanted, currency)
    _check_parties(state, customer_id, address_id)
    made = begin(state, wanted, origin="api", currency=currency, link=link)
    made |= {"customer_id": customer_id, "custom_data": custom_data}
    check_minimum(state, made, code="transaction_balance_less_than_charge_limit")
    state.add(made)
    state.tell("transaction.created", made)
    if address_id:
        live_at(state, made, address_id)
    return made


def begin(
    state: State, wanted: Sequence[Wanted], *, origin: str, currency: str = "USD", link: str | None = None
) -> Entity:
    """A draft with these lines and no tax yet. It is not stored: whoever asked may still decide against it."""
    now = iso(state.moment())
    made = schemas.transaction(
        state.new_id("txn"), now, origin=origin, currency=currency, link=link or state.payment_link
    )
    made["items"] = [
        {
            "price": state.get("pri", line.price_id),
            "quantity": line.quantity,
            "proration": line.proration,
        }
        for line in wanted
    ]
    made["items"] = schemas.copied(made["items"])
    ids = [state.new_id("txnitm") for _ in made["items"]]
    made["details"] = money.details(_lines(state, made, ids), tax=state.tax * 0, currency=currency)
    return made


def live_at(state: State, transaction: Entity, address_id: str) -> None:
    """The address is known: tax is added and the transaction can be paid."""
    tax_for(state, transaction, address_id)
    transaction["status"] = "ready"
    state.tell("transaction.ready", transaction)


def tax_for(state: State, transaction: Entity, address_id: str, *, credit: int = 0) -> None:
    """Add the tax of this address, and use at most `credit` of the customer's balance."""
    transaction["address_id"] = address_id
    ids = [item["id"] for item in transaction["details"]["line_items"]]
    lines = _lines(state, transaction, ids)
    transaction["details"] = money.details(lines, tax=state.tax, currency=transaction["currency_code"], credit=credit)


def check_minimum(state: State, transaction: Entity, *, code: str) -> None:
    total = int(transaction["details"]["totals"]["grand_total"])
    if 0 < total < state.minimum:
        limit = money.written(state.minimum, transaction["currency_code"])
        raise Refused(code, f"The transaction's balance is less than what can be charged, {limit}.")


def decline(state: State, transaction: Entity, *, card: str = "declined", error: str = "declined") -> None:
    """The card was refused: the attempt is noted and the status stays."""
    _attempt(state, transaction, card=card, error=error)
    state.tell("transaction.payment_failed", transaction)


def capture(state: State, transaction: Entity, *, card: str = "good") -> None:
    """The money came. Credit that is used, or that negative lines make, moves the customer's balance."""
    now = iso(state.moment())
    totals = transaction["details"]["totals"]
    transaction["billed_at"] = transaction["billed_at"] or now
    transaction["status"] = "paid"
    if int(totals["total"]) >= 0:
        _attempt(state, transaction, card=card, error=None)
    change = int(totals["credit_to_balance"])
    if change:
        customers.add_to_balance(state, transaction["customer_id"], transaction["currency_code"], change)
    state.tell("transaction.paid", transaction)


def complete(state: State, transaction: Entity) -> None:
    """Paddle is done: fees are known, and money that moved has an invoice."""
    money.close(transaction["details"])
    transaction["status"] = "completed"
    if int(transaction["details"]["totals"]["total"]):
        state.memory.last_invoice += 1
        transaction["invoice_id"] = state.new_id("inv")
        transaction["invoice_number"] = f"74410-{state.memory.last_invoice}"
    state.tell("transaction.completed", transaction)


def bill(
    state: State,
    subscription: Entity,
    wanted: Sequence[Wanted],
    *,
    origin: str,
    period: Entity | None,
    credit: int | None = None,
) -> Entity:
    """What a subscription is billed, taxed and with the customer's balance used; not stored and not paid yet.

    `credit` stands in for the balance where something is reckoned ahead.
    """
    made = begin(state, wanted, origin=origin, currency=subscription["currency_code"])
    made |= {
        "status": "billed",
        "customer_id": subscription["customer_id"],
        "subscription_id": subscription["id"],
        "custom_data": schemas.copied(subscription["custom_data"]),
        "billing_period": period,
        "billed_at": made["created_at"],
    }
    if credit is None:
        credit = customers.balance(state, made["customer_id"], made["currency_code"])
    tax_for(state, made, subscription["address_id"], credit=credit)
    return made


def issue(state: State, transaction: Entity) -> None:
    """Store what `bill` made, take the credit it uses, and tell of it."""
    used = int(transaction["details"]["totals"]["credit"])
    if used:
        customers.add_to_balance(state, transaction["customer_id"], transaction["currency_code"], -used)
    state.add(transaction)
    state.tell("transaction.created", transaction)
    state.tell("transaction.billed", transaction)


def cancel(state: State, transaction: Entity) -> None:
    """Raises `Refused` `transaction_immutable` for what is paid or canceled."""
    if transaction["status"] not in UNPAID:
        raise Refused("transaction_immutable", f"The transaction is {transaction['status']} and cannot be changed.")
    used = int(transaction["details"]["totals"]["credit"])
    if used:
        customers.add_to_balance(state, transaction["customer_id"], transaction["currency_code"], used)
    transaction["status"] = "canceled"
    state.tell("transaction.canceled", transaction)


def of_subscription(state: State, subscription: Entity) -> list[Entity]:
    return [row for row in state.rows("txn") if row["subscription_id"] == subscription["id"]]


def _lines(state: State, transaction: Entity, ids: Iterable[str]) -> list[Line]:
    origin = transaction["origin"]
    return [
        Line(
            id=identifier,
            price=item["price"],
            product=schemas.copied(state.get("pro", item["price"]["product_id"])),
            quantity=item["quantity"],
            proration=item["proration"],
            free=origin == "subscription_payment_method_change"
            or (origin in {"api", "web"} and item["price"]["trial_period"] is not None),
        )
        for identifier, item in zip(ids, transaction["items"], strict=True)
    ]


def _attempt(state: State, transaction: Entity, *, card: str, error: str | None) -> None:
    known = state.memory.backstage.setdefault(transaction["customer_id"], {})
    if card not in known:
        known[card] = state.new_id("paymtd")
    amount = transaction["details"]["totals"]["grand_total"]
    attempt = schemas.payment(iso(state.moment()), amount=amount, card=card, method_id=known[card], error=error)
    transaction["payments"].insert(0, attempt)


def _check_together(state: State, wanted: Sequence[Wanted], currency: str) -> None:
    if len({line.price_id for line in wanted}) < len(wanted):
        raise Refused("transaction_duplicate_price_ids", "A price may stand in one line only.")
    prices = [state.get("pri", line.price_id) for line in wanted]
    if any(price["unit_price"]["currency_code"] != currency for price in prices):
        raise invalid("currency_code", "The simulator sells a price in its own currency only.")
    cycles = [price["billing_cycle"] for price in prices if price["billing_cycle"]]
    if any(cycle != cycles[0] for cycle in cycles):
        raise Refused("transaction_price_different_billing_cycle", "All recurring prices must share a billing cycle.")


def _check_parties(state: State, customer_id: str | None, address_id: str | None) -> None:
    if customer_id:
        state.get("ctm", customer_id)
    if address_id and not customer_id:
        raise Refused("transaction_customer_is_required_with_address", "An address needs its customer.")
    if address_id and state.get("add", address_id)["customer_id"] != customer_id:
        raise Refused("not_found", f"Entity {address_id} not found.")
