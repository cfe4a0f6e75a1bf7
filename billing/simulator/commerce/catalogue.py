"""Products and prices: what can be bought, how often it is billed, and in which quantities."""

from __future__ import annotations

from billing.simulator.bodies.body import given, plain
from billing.simulator.bodies.catalogue import NewPrice, NewProduct, PriceChange, ProductChange
from billing.simulator.errors import RequestError, invalid_field
from billing.simulator.schemas.catalogue import Price, Product
from billing.simulator.schemas.times import iso
from billing.simulator.state import State


def create_product(state: State, body: NewProduct) -> Product:
    identifier, now = state.new_id("pro"), iso(state.moment())
    product = state.products.add(
        {
            "id": identifier,
            "name": body.name,
            "type": body.type,
            "tax_category": body.tax_category,
            "description": body.description,
            "image_url": body.image_url,
            "custom_data": body.custom_data,
            "status": "active",
            "import_meta": None,
            "created_at": now,
            "updated_at": now,
        }
    )
    state.emit("product.created", product)
    return product


def change_product(state: State, product: Product, body: ProductChange) -> Product:
    product |= given(body)
    state.emit("product.updated", product)
    return product


def create_price(state: State, body: NewPrice) -> Price:
    """Raises `RequestError` for an unknown product or a trial without a billing cycle."""
    state.products.get(body.product_id)
    identifier, now = state.new_id("pri"), iso(state.moment())
    price: Price = {
        "id": identifier,
        "product_id": body.product_id,
        "type": body.type,
        "name": body.name,
        "description": body.description,
        "billing_cycle": plain(body.billing_cycle),
        "trial_period": plain(body.trial_period),
        "tax_mode": body.tax_mode,
        "unit_price": plain(body.unit_price),
        "unit_price_overrides": [plain(override) for override in body.unit_price_overrides],
        "quantity": plain(body.quantity),
        "custom_data": body.custom_data,
        "status": "active",
        "import_meta": None,
        "created_at": now,
        "updated_at": now,
    }
    _check(price)
    state.prices.add(price)
    state.emit("price.created", price)
    return price


def change_price(state: State, price: Price, body: PriceChange) -> Price:
    """Raises `RequestError` as `create_price` does, and for a null where a price needs a value."""
    fields = given(body)
    for name in ("unit_price", "quantity"):
        if name in fields and fields[name] is None:
            raise invalid_field(name, "cannot be null")
    # Checked before it is applied, so that a refused change leaves the price as it was.
    _check(price | fields)
    price |= fields
    state.emit("price.updated", price)
    return price


def buyable(state: State, price_id: str, quantity: int, *, out_of_range: str) -> Price:
    """Returns the active price, if it may be bought in this quantity; else raises `RequestError`.

    `out_of_range` is the error's code for the quantity.
    """
    price = state.prices.find(price_id)
    if price is None or price["status"] != "active":
        raise RequestError("transaction_price_not_found", f"Price {price_id} cannot be found, or is archived.")
    least, most = price["quantity"]["minimum"], price["quantity"]["maximum"]
    if not least <= quantity <= most:
        raise RequestError(out_of_range, f"Quantity {quantity} of {price_id} is not within {least} and {most}.")
    return price


def _check(price: Price) -> None:
    if price["trial_period"] and not price["billing_cycle"]:
        raise RequestError("price_trial_period_requires_billing_cycle", "A trial period needs a billing cycle.")
    if price["quantity"]["minimum"] > price["quantity"]["maximum"]:
        raise RequestError("invalid_field", "Invalid request.", errors=[("quantity", "minimum is above maximum")])
