"""Customers, their addresses, and the credit that Paddle owes them."""

from __future__ import annotations

from billing.simulator.bodies.body import given
from billing.simulator.bodies.customers import CustomerChange
from billing.simulator.errors import RequestError
from billing.simulator.schemas import customers as schemas
from billing.simulator.schemas.catalogue import CustomData
from billing.simulator.schemas.customers import Address, CreditBalance, Customer
from billing.simulator.schemas.times import iso
from billing.simulator.state import State


def create(
    state: State, *, email: str, name: str | None = None, locale: str = "en", custom_data: CustomData = None
) -> Customer:
    """Raises `RequestError` `customer_already_exists`, whose detail names the customer with this email."""
    _check_email(state, email, but="")
    identifier, now = state.new_id("ctm"), iso(state.moment())
    customer = state.customers.add(
        {
            "id": identifier,
            "name": name,
            "email": email,
            "locale": locale,
            "status": "active",
            "marketing_consent": False,
            "custom_data": custom_data,
            "import_meta": None,
            "created_at": now,
            "updated_at": now,
        }
    )
    state.emit("customer.created", customer)
    return customer


def change(state: State, customer: Customer, body: CustomerChange) -> Customer:
    fields = given(body)
    if "email" in fields:
        _check_email(state, body.email, but=customer["id"])
    customer |= fields
    state.emit("customer.updated", customer)
    return customer


def by_email(state: State, email: str) -> Customer | None:
    # Paddle tells emails apart without regard to case.
    found = (row for row in state.customers.rows() if row["email"].casefold() == email.casefold())
    return next(found, None)


def address_of(state: State, customer: Customer) -> Address:
    """Returns the customer's address; the checkout asks for it once."""
    for address in state.addresses.rows():
        if address["customer_id"] == customer["id"]:
            return address
    made = schemas.address(state.new_id("add"), iso(state.moment()), customer["id"])
    state.addresses.add(made)
    state.emit("address.created", made)
    return made


def balance(state: State, customer_id: str | None, currency: str) -> int:
    """Returns Paddle's credit for the customer, in minor units."""
    return state.memory.balances.get(customer_id, {}).get(currency, 0) if customer_id else 0


def add_to_balance(state: State, customer_id: str | None, currency: str, amount: int) -> None:
    assert customer_id, "Only a customer has a balance."
    owed = state.memory.balances.setdefault(customer_id, {})
    owed[currency] = owed.get(currency, 0) + amount


def credit_balances(state: State, customer: Customer) -> list[CreditBalance]:
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
        raise RequestError("customer_already_exists", f"customer email conflicts with customer of id {other['id']}")
