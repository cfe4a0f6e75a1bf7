"""Products and prices: what can be bought, how often it is billed, and in which quantities."""

from __future__ import annotations

from billing.simulator import schemas
from billing.simulator.errors import Refused
from billing.simulator.schemas import Entity, iso
from billing.simulator.state import State


def create_product(state: State, given: Entity) -> Entity:
    product = state.add(schemas.product(state.new_id("pro"), iso(state.moment()), given))
    state.tell("product.created", product)
    return product


def create_price(state: State, given: Entity) -> Entity:
    """Raises `Refused` for an unknown product or a trial without a billing cycle."""
    state.get("pro", given["product_id"])
    price = schemas.price(state.new_id("pri"), iso(state.moment()), given)
    _check(price)
    state.add(price)
    state.tell("price.created", price)
    return price


def change_product(state: State, product: Entity, given: Entity) -> Entity:
    product |= given
    state.tell("product.updated", product)
    return product


def change_price(state: State, price: Entity, given: Entity) -> Entity:
    _check(price | given)
    price |= given
    state.tell("price.updated", price)
    return price


def price_in(state: State, price_id: str, quantity: int, *, out_of_range: str) -> Entity:
    """The active price, when it may be bought in this quantity; else `Refused`, with `out_of_range` as its code."""
    price = state.memory.tables.get("pri", {}).get(price_id)
    if price is None or price["status"] != "active":
        raise Refused("transaction_price_not_found", f"Price {price_id} cannot be found, or is archived.")
    least, most = price["quantity"]["minimum"], price["quantity"]["maximum"]
    if not least <= quantity <= most:
        raise Refused(out_of_range, f"Quantity {quantity} of {price_id} is not within {least} and {most}.")
    return price


def _check(price: Entity) -> None:
    if price["trial_period"] and not price["billing_cycle"]:
        raise Refused("price_trial_period_requires_billing_cycle", "A trial period needs a billing cycle.")
    if price["quantity"]["minimum"] > price["quantity"]["maximum"]:
        raise Refused("invalid_field", "Invalid request.", errors=[("quantity", "minimum is above maximum")])
