"""The checkout: what happens when a customer pays, and where it sends them afterwards."""

from __future__ import annotations

from copy import deepcopy
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from billing.simulator.commerce import customers, payments, transactions
from billing.simulator.commerce.subscriptions import collection, lifecycle
from billing.simulator.errors import RequestError, invalid_field
from billing.simulator.schemas import customers as schemas
from billing.simulator.schemas.times import iso
from billing.simulator.schemas.transactions import CARDS, Transaction
from billing.simulator.state import State

LOCAL = {"localhost", "127.0.0.1"}


def pay(state: State, transaction: Transaction, *, card: str, email: str) -> None:
    """Try one of `CARDS`. A declined one leaves the transaction as it is, with the attempt noted.

    `email` counts only where the transaction has no customer. Raises `RequestError` for a paid or canceled one.
    """
    if card not in CARDS:
        raise invalid_field("card", f"There is no card {card!r}.")
    if transaction["status"] not in transactions.UNPAID:
        detail = f"The transaction is {transaction['status']} and cannot be paid."
        raise RequestError("transaction_not_ready_cannot_process_payment", detail)
    if transaction["origin"] not in transactions.SOLD_IN_CHECKOUT:
        _pay_for_subscription(state, transaction, card)
        return
    identify(state, transaction, email)
    transactions.check_minimum(state, transaction, code="transaction_balance_less_than_charge_limit")
    if card == "declined":
        payments.decline(state, transaction)
        return
    payments.capture(state, transaction, card=card)
    state.emit("transaction.updated", transaction)
    # The subscription begins between paid and completed, in the order that Paddle was observed to tell.
    if any(item["price"]["billing_cycle"] for item in transaction["items"]):
        made = lifecycle.begin(state, transaction, card=card)
        transaction |= {
            "subscription_id": made["id"],
            "billing_period": deepcopy(made["current_billing_period"]),
        }
        state.emit("transaction.updated", transaction)
    payments.complete(state, transaction)
    _save_card(state, transaction)


def identify(state: State, transaction: Transaction, email: str) -> None:
    """Give the transaction its customer and address, as the first page of Paddle's checkout does."""
    if not transaction["customer_id"]:
        if "@" not in email.strip("@"):
            raise invalid_field("email", "An email is needed for the receipt.")
        customer = customers.by_email(state, email) or customers.create(state, email=email)
        transaction["customer_id"] = customer["id"]
        state.emit("transaction.updated", transaction)
    if transaction["status"] == "draft":
        customer = state.customers.get(transaction["customer_id"])
        transactions.set_address(state, transaction, customers.address_of(state, customer)["id"])


def return_url(state: State, return_to: str, outcome: str) -> str:
    """Returns the address to go back to, with the outcome. Raises `RequestError` for one off this machine."""
    if not return_to:
        home = urlsplit(state.payment_link)
        return_to = urlunsplit((home.scheme, home.netloc, "/dashboard/billing", "", ""))
    parts = urlsplit(return_to)
    # The address comes from a query: an open redirect would lead anywhere.
    if parts.scheme != "http" or parts.hostname not in LOCAL or "@" in parts.netloc:
        raise invalid_field("return_to", "The checkout returns to this machine only.")
    # A second round through the checkout must not leave two outcomes.
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "checkout"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("checkout", outcome)])))


def _pay_for_subscription(state: State, transaction: Transaction, card: str) -> None:
    """Take a new card for a subscription, or the payment of its overdue bill."""
    subscription = state.subscriptions.get(transaction["subscription_id"])
    if card == "declined":
        payments.decline(state, transaction)
        return
    behind = state.backstage(subscription)
    if transaction["id"] == behind["overdue"]:
        collection.recover(state, subscription, transaction)
    else:
        payments.capture(state, transaction, card=card)
        payments.complete(state, transaction)
    behind["card"] = "fails" if card == "fails_later" else "good"
    _save_card(state, transaction)


def _save_card(state: State, transaction: Transaction) -> None:
    if not transaction["subscription_id"] or not transaction["payments"]:
        return
    customer, address = transaction["customer_id"], transaction["address_id"]
    assert customer, "A paid transaction has a customer."
    assert address, "A paid transaction has an address."
    method_id, now = transaction["payments"][0]["payment_method_id"], iso(state.moment())
    saved = schemas.payment_method(method_id, now, customer_id=customer, address_id=address)
    state.emit("payment_method.saved", saved)
