"""Customers, their addresses, and the cards they saved."""

from __future__ import annotations

from typing import Literal, TypedDict

from billing.simulator.schemas.catalogue import CustomData


class Customer(TypedDict):
    id: str
    name: str | None
    email: str
    locale: str
    status: Literal["active", "archived"]
    marketing_consent: bool
    custom_data: CustomData
    import_meta: None
    created_at: str
    updated_at: str


class Address(TypedDict):
    id: str
    customer_id: str
    description: str | None
    first_line: str | None
    second_line: str | None
    city: str | None
    region: str | None
    postal_code: str
    country_code: str
    status: Literal["active", "archived"]
    custom_data: CustomData
    import_meta: None
    created_at: str
    updated_at: str


class PaymentMethod(TypedDict):
    id: str
    customer_id: str
    address_id: str
    type: Literal["card"]
    origin: Literal["saved_during_purchase"]
    saved_at: str
    updated_at: str


class Balance(TypedDict):
    available: str
    reserved: str
    used: str


class CreditBalance(TypedDict):
    """The money that Paddle owes a customer, in minor units of one currency."""

    customer_id: str
    currency_code: str
    balance: Balance


def address(identifier: str, now: str, customer_id: str) -> Address:
    return {
        "id": identifier,
        "customer_id": customer_id,
        "description": None,
        "first_line": None,
        "second_line": None,
        "city": None,
        "region": None,
        "postal_code": "10021",
        "country_code": "US",
        "status": "active",
        "custom_data": None,
        "import_meta": None,
        "created_at": now,
        "updated_at": now,
    }


def payment_method(identifier: str, now: str, *, customer_id: str, address_id: str) -> PaymentMethod:
    return {
        "id": identifier,
        "customer_id": customer_id,
        "address_id": address_id,
        "type": "card",
        "origin": "saved_during_purchase",
        "saved_at": now,
        "updated_at": now,
    }
