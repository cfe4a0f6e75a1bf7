"""Products and prices."""

from __future__ import annotations

from billing.simulator.api import bodies
from billing.simulator.api.calls import ID, Call, Done, Route, asked_for, listed
from billing.simulator.api.listing import Page
from billing.simulator.commerce import catalogue
from billing.simulator.errors import invalid
from billing.simulator.schemas import Entity
from billing.simulator.state import State


def create_product(call: Call, state: State) -> Done:
    return Done(catalogue.create_product(state, bodies.given(bodies.read(bodies.NewProduct, call.body))))


def list_products(call: Call, state: State) -> Page:
    found = listed(call, state, "pro", "id", "status", "tax_category", "type", visible=True, also=["include"])
    return Page([_with_prices(call, state, row) for row in found.rows], found.pagination)


def get_product(call: Call, state: State, product_id: str) -> Entity:
    return _with_prices(call, state, state.get("pro", product_id))


def change_product(call: Call, state: State, product_id: str) -> Entity:
    product = state.get("pro", product_id)
    return catalogue.change_product(state, product, bodies.given(bodies.read(bodies.ProductChange, call.body)))


def create_price(call: Call, state: State) -> Done:
    return Done(catalogue.create_price(state, bodies.given(bodies.read(bodies.NewPrice, call.body))))


def list_prices(call: Call, state: State) -> Page:
    found = listed(call, state, "pri", "id", "product_id", "status", "type", visible=True, also=["include"])
    return Page([_with_product(call, state, row) for row in found.rows], found.pagination)


def get_price(call: Call, state: State, price_id: str) -> Entity:
    return _with_product(call, state, state.get("pri", price_id))


def change_price(call: Call, state: State, price_id: str) -> Entity:
    price = state.get("pri", price_id)
    sent = bodies.given(bodies.read(bodies.PriceChange, call.body))
    for name in ("unit_price", "quantity"):
        if name in sent and sent[name] is None:
            raise invalid(name, "cannot be null")
    return catalogue.change_price(state, price, sent)


ROUTES: list[Route] = [
    ("POST", "/products", create_product),
    ("GET", "/products", list_products),
    ("GET", f"/products/{ID}", get_product),
    ("PATCH", f"/products/{ID}", change_product),
    ("POST", "/prices", create_price),
    ("GET", "/prices", list_prices),
    ("GET", f"/prices/{ID}", get_price),
    ("PATCH", f"/prices/{ID}", change_price),
]


def _with_prices(call: Call, state: State, product: Entity) -> Entity:
    if not asked_for(call, "prices"):
        return product
    return product | {"prices": [row for row in state.rows("pri") if row["product_id"] == product["id"]]}


def _with_product(call: Call, state: State, price: Entity) -> Entity:
    return price | {"product": state.get("pro", price["product_id"])} if asked_for(call, "product") else price
