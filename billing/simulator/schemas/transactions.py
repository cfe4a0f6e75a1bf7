"""Transactions and the payments that were tried for them."""

from __future__ import annotations

import uuid
from typing import Literal, TypedDict

from billing.simulator.schemas.amounts import Details, PreviewedDetails, Proration
from billing.simulator.schemas.catalogue import CustomData, Price
from billing.simulator.schemas.times import Period

Card = Literal["good", "declined", "fails_later"]
# The cards of the checkout by what they do, with their last four digits.
CARDS: dict[str, str] = {"good": "4242", "declined": "0002", "fails_later": "0341"}
Status = Literal["draft", "ready", "billed", "paid", "completed", "canceled", "past_due"]


class Item(TypedDict):
    price: Price
    quantity: int
    proration: Proration | None


class CardDetails(TypedDict):
    type: str
    last4: str
    expiry_month: int
    expiry_year: int
    cardholder_name: str


class MethodDetails(TypedDict):
    type: Literal["card"]
    card: CardDetails
    south_korea_local_card: None
    underlying_details: None


class Payment(TypedDict):
    """One attempt; `error_code` is None when the money came."""

    amount: str
    status: Literal["error", "captured"]
    error_code: str | None
    created_at: str
    captured_at: str | None
    payment_method_id: str
    payment_attempt_id: str
    stored_payment_method_id: str
    method_details: MethodDetails


class CheckoutLink(TypedDict):
    url: str


class Transaction(TypedDict):
    id: str
    status: Status
    origin: str
    customer_id: str | None
    address_id: str | None
    business_id: None
    subscription_id: str | None
    discount_id: None
    invoice_id: str | None
    invoice_number: str | None
    custom_data: CustomData
    currency_code: str
    collection_mode: Literal["automatic"]
    billing_details: None
    billing_period: Period | None
    items: list[Item]
    details: Details
    payments: list[Payment]
    checkout: CheckoutLink
    created_at: str
    updated_at: str
    billed_at: str | None
    revised_at: None


class PreviewedTransaction(TypedDict):
    """A transaction that was not made: previews of subscriptions carry it."""

    billing_period: Period | None
    details: PreviewedDetails
    adjustments: list[None]


def transaction(
    identifier: str, now: str, *, origin: str, currency: str, link: str, items: list[Item], details: Details
) -> Transaction:
    """A draft without a customer."""
    return {
        "id": identifier,
        "status": "draft",
        "origin": origin,
        "customer_id": None,
        "address_id": None,
        "business_id": None,
        "subscription_id": None,
        "discount_id": None,
        "invoice_id": None,
        "invoice_number": None,
        "custom_data": None,
        "currency_code": currency,
        "collection_mode": "automatic",
        "billing_details": None,
        "billing_period": None,
        "items": items,
        "details": details,
        "payments": [],
        "checkout": {"url": f"{link}{'&' if '?' in link else '?'}_ptxn={identifier}"},
        "created_at": now,
        "updated_at": now,
        "billed_at": None,
        "revised_at": None,
    }


def payment(now: str, *, amount: str, card: str, method_id: str, error: str | None) -> Payment:
    """One attempt; `error` is Paddle's error_code, or None when the money came."""
    return {
        "amount": amount,
        "status": "error" if error else "captured",
        "error_code": error,
        "created_at": now,
        "captured_at": None if error else now,
        "payment_method_id": method_id,
        "payment_attempt_id": str(uuid.uuid4()),
        "stored_payment_method_id": str(uuid.uuid5(uuid.NAMESPACE_URL, method_id)),
        "method_details": {
            "type": "card",
            "card": {
                "type": "visa",
                "last4": CARDS[card],
                "expiry_month": 11,
                "expiry_year": int(now[:4]) + 2,
                "cardholder_name": "A Simulated Customer",
            },
            "south_korea_local_card": None,
            "underlying_details": None,
        },
    }
