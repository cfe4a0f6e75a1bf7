"""Customers, where they live, and the credit that Paddle owes them."""

from __future__ import annotations

from billing.simulator import schemas
from billing.simulator.errors import Refused
from billing.simulator.schemas import Entity, iso
from billing.simulator.state import State


def create(state: State, given: Entity) -> Entity:
    """Raises `Refused` `customer_already_exists`, whose words name the customer with this email."""
    _check_email(state, given["email"], but="")
    customer = state.add(schemas.customer(state.new_id("ctm"), iso(state.moment()), given))
    state.tell("customer.created", customer)
    return customer


def change(state: State, customer: Entity, given: Entity) -> Entity:
    if "email" in given:
        _check_email(state, given["email"], but=customer["id"])
    customer |= given
    state.tell("customer.updated", customer)
    return customer


def by_email(state: State, email: str) -> Entity | None:
    found = (row for row in state.rows("ctm") if row["email"].casefold() == email.casefold())
    return next(found, None)


def address_of(state: State, customer: Entity) -> Entity:
    """Where the customer lives; the checkout asks once."""
    for address in state.rows("add"):
        if address["customer_id"] == customer["id"]:
            return address
    address = state.add(schemas.address(state.new_id("add"), iso(state.moment()), customer["id"]))
    state.tell("address.created", address)
    return address


def balance(state: State, customer_id: str, currency: str) -> int:
    """Paddle's credit for the customer, in minor units."""
    return state.memory.balances.get(customer_id, {}).get(currency, 0)


def add_to_balance(state: State, customer_id: str, currency: str, amount: int) -> None:
    owed = state.memory.balances.setdefault(customer_id, {})
    owed[currency] = owed.get(currency, 0) + amount


def credit_balances(state: State, customer: Entity) -> list[Entity]:
    return [
        {
            "customer_id": customer["id"],
            "currency_code": currency,
            "balance": {"available": str(amount), "reserved": "0", "used": "0"},
        }
        for currency, amount in state.memory.balances.get(customer["id"], {}).items()
    ]


def _check_email(state: State, email: str, *, but: str) -> None:
    other = by_email(state, email)
    if other and other["id"] != but:
        raise Refused("customer_already_exists", f"customer email conflicts with customer of id {other['id']}")
