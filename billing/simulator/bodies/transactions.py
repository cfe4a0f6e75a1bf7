"""Bodies about transactions, and what adjusts them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from billing.simulator.bodies.body import Amount, Body, Currency, CustomData, Words


class Item(Body):
    price_id: str
    quantity: int


class CheckoutLink(Body):
    url: str | None = None


class NewTransaction(Body):
    items: Annotated[list[Item], Field(min_length=1, max_length=100)]
    customer_id: str | None = None
    address_id: str | None = None
    currency_code: Currency = "USD"
    collection_mode: Literal["automatic"] = "automatic"
    custom_data: CustomData = None
    checkout: CheckoutLink | None = None


class TransactionChange(Body):
    status: Literal["canceled"] | None = None
    custom_data: CustomData = None


class Place(Body):
    country_code: str
    postal_code: str | None = None


class TransactionPreview(Body):
    items: Annotated[list[Item], Field(min_length=1, max_length=100)]
    customer_id: str | None = None
    address_id: str | None = None
    address: Place | None = None
    currency_code: Currency = "USD"


class AdjustedItem(Body):
    item_id: str
    type: Literal["full", "partial"]
    amount: Amount | None = None


class NewAdjustment(Body):
    action: Literal["refund", "credit"]
    transaction_id: str
    reason: Words
    type: Literal["full", "partial"] = "partial"
    items: Annotated[list[AdjustedItem], Field(min_length=1)] | None = None
