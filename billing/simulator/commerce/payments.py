"""Payments: attempts to charge a card for a transaction, and what follows when the money comes."""

from __future__ import annotations

from billing.simulator.commerce import customers, money
from billing.simulator.schemas import transactions as schemas
from billing.simulator.schemas.times import iso
from billing.simulator.schemas.transactions import Transaction
from billing.simulator.state import State


def decline(state: State, transaction: Transaction, *, card: str = "declined", error: str = "declined") -> None:
    """Note an attempt that the bank declined; the status stays."""
    _attempt(state, transaction, card=card, error=error)
    state.emit("transaction.payment_failed", transaction)


def capture(state: State, transaction: Transaction, *, card: str = "good") -> None:
    """Take the money. Credit that negative lines make goes to the customer's balance."""
    now = iso(state.moment())
    totals = transaction["details"]["totals"]
    transaction["billed_at"] = transaction["billed_at"] or now
    transaction["status"] = "paid"
    # A bill that gives money back has no payment: the customer's balance takes it.
    if int(totals["total"]) >= 0:
        _attempt(state, transaction, card=card, error=None)
    change = int(totals["credit_to_balance"])
    if change:
        customers.add_to_balance(state, transaction["customer_id"], transaction["currency_code"], change)
    state.emit("transaction.paid", transaction)


def complete(state: State, transaction: Transaction) -> None:
    """Complete a paid transaction: fees are known, and money that moved has an invoice."""
    money.close(transaction["details"])
    transaction["status"] = "completed"
    # Nothing was charged for a trial or a change of card, so there is no invoice.
    if int(transaction["details"]["totals"]["total"]):
        state.memory.last_invoice += 1
        transaction["invoice_id"] = state.new_id("inv")
        transaction["invoice_number"] = f"74410-{state.memory.last_invoice}"
    state.emit("transaction.completed", transaction)


def _attempt(state: State, transaction: Transaction, *, card: str, error: str | None) -> None:
    known = state.memory.cards.setdefault(transaction["customer_id"] or "", {})
    # A card keeps its id: paying with it again is no new payment method.
    if card not in known:
        known[card] = state.new_id("paymtd")
    amount = transaction["details"]["totals"]["grand_total"]
    attempt = schemas.payment(iso(state.moment()), amount=amount, card=card, method_id=known[card], error=error)
    # The newest attempt stands first.
    transaction["payments"].insert(0, attempt)
