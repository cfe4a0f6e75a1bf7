"""Products and prices."""

from __future__ import annotations

from collections.abc import Mapping

from billing.simulator.api.listing import Page, fields, paged, unarchived
from billing.simulator.api.routes import ID, Result, Route, included
from billing.simulator.bodies.body import read
from billing.simulator.bodies.catalogue import NewPrice, NewProduct, PriceChange, ProductChange
from billing.simulator.commerce import catalogue
from billing.simulator.http import Request
from billing.simulator.schemas.catalogue import Price, Product
from billing.simulator.state import State


def create_product(request: Request, state: State) -> Result:
    return Result(catalogue.create_product(state, read(NewProduct, request.body)))


def list_products(request: Request, state: State) -> Page:
    return paged(
        request,
        unarchived(request, state.products.rows()),
        fields("id", "status", "tax_category", "type"),
        also=["include"],
        show=lambda product: _with_prices(request, state, product),
    )


def get_product(request: Request, state: State, product_id: str) -> Mapping[str, object]:
    return _with_prices(request, state, state.products.get(product_id))


def change_product(request: Request, state: State, product_id: str) -> Product:
    product = state.products.get(product_id)
    return catalogue.change_product(state, product, read(ProductChange, request.body))


def create_price(request: Request, state: State) -> Result:
    return Result(catalogue.create_price(state, read(NewPrice, request.body)))


def list_prices(request: Request, state: State) -> Page:
    return paged(
        request,
        unarchived(request, state.prices.rows()),
        fields("id", "product_id", "status", "type"),
        also=["include"],
        show=lambda price: _with_product(request, state, price),
    )


def get_price(request: Request, state: State, price_id: str) -> Mapping[str, object]:
    return _with_product(request, state, state.prices.get(price_id))


def change_price(request: Request, state: State, price_id: str) -> Price:
    price = state.prices.get(price_id)
    return catalogue.change_price(state, price, read(PriceChange, request.body))


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


def _with_prices(request: Request, state: State, product: Product) -> Mapping[str, object]:
    if not included(request, "prices"):
        return product
    return {**product, "prices": [row for row in state.prices.rows() if row["product_id"] == product["id"]]}


def _with_product(request: Request, state: State, price: Price) -> Mapping[str, object]:
    if not included(request, "product"):
        return price
    return {**price, "product": state.products.get(price["product_id"])}
