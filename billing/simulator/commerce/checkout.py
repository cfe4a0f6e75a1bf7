"""What the checkout does when a customer pays, and where it sends them afterwards."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from billing.simulator import schemas
from billing.simulator.commerce import customers, subscriptions, transactions
from billing.simulator.errors import Refused, invalid
from billing.simulator.schemas import CARDS, Entity, iso
from billing.simulator.state import State

LOCAL = {"localhost", "127.0.0.1"}
PAYABLE = {"draft", "ready", "billed", "past_due"}


def pay(state: State, transaction: Entity, *, card: str, email: str) -> None:
    """Try one of `CARDS`. A declined one leaves the transaction as it is, with the attempt noted.

    `email` counts only where the transaction has no customer. Raises `Refused` for what is paid or canceled.
    """
    if card not in CARDS:
        raise invalid("card", f"There is no card {card!r}.")
    if transaction["status"] not in PAYABLE:
        detail = f"The transaction is {transaction['status']} and cannot be paid."
        raise Refused("transaction_not_ready_cannot_process_payment", detail)
    if transaction["origin"] not in {"api", "web"}:
        _pay_for_subscription(state, transaction, card)
        return
    identify(state, transaction, email)
    transactions.check_minimum(state, transaction, code="transaction_balance_less_than_charge_limit")
    if card == "declined":
        transactions.decline(state, transaction)
        return
    transactions.capture(state, transaction, card=card)
    state.tell("transaction.updated", transaction)
    if any(item["price"]["billing_cycle"] for item in transaction["items"]):
        made = subscriptions.begin(state, transaction, card=card)
        transaction |= {
            "subscription_id": made["id"],
            "billing_period": schemas.copied(made["current_billing_period"]),
        }
        state.tell("transaction.updated", transaction)
    transactions.complete(state, transaction)
    _save_card(state, transaction)


def identify(state: State, transaction: Entity, email: str) -> None:
    """Give the transaction its customer and address, as the first page of Paddle's checkout does."""
    if not transaction["customer_id"]:
        if "@" not in email.strip("@"):
            raise invalid("email", "An email is needed for the receipt.")
        customer = customers.by_email(state, email) or customers.create(state, {"email": email})
        transaction["customer_id"] = customer["id"]
        state.tell("transaction.updated", transaction)
    if transaction["status"] == "draft":
        customer = state.get("ctm", transaction["customer_id"])
        transactions.live_at(state, transaction, customers.address_of(state, customer)["id"])


def return_url(state: State, return_to: str, outcome: str) -> str:
    """Where to go back to, told the outcome. Raises `Refused` for an address that is not on this machine."""
    if not return_to:
        home = urlsplit(state.payment_link)
        return_to = urlunsplit((home.scheme, home.netloc, "/dashboard/billing", "", ""))
    parts = urlsplit(return_to)
    if parts.scheme != "http" or parts.hostname not in LOCAL or "@" in parts.netloc:
        raise invalid("return_to", "The checkout returns to this machine only.")
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "checkout"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("checkout", outcome)])))


def _pay_for_subscription(state: State, transaction: Entity, card: str) -> None:
    """A new card for a subscription, or the payment of what is overdue."""
    subscription = state.get("sub", transaction["subscription_id"])
    if card == "declined":
        transactions.decline(state, transaction)
        return
    behind = subscriptions.backstage(state, subscription)
    if transaction["id"] == behind["overdue"]:
        subscriptions.recover(state, subscription, transaction)
    else:
        transactions.capture(state, transaction, card=card)
        transactions.complete(state, transaction)
    behind["card"] = "fails" if card == "fails_later" else "good"
    _save_card(state, transaction)


def _save_card(state: State, transaction: Entity) -> None:
    if not transaction["subscription_id"] or not transaction["payments"]:
        return
    saved = schemas.payment_method(
        transaction["payments"][0]["payment_method_id"],
        iso(state.moment()),
        customer_id=transaction["customer_id"],
        address_id=transaction["address_id"],
    )
    state.tell("payment_method.saved", saved)
