"""Paddle's entities as it documents and sends them: every field, also those that never change here."""

from __future__ import annotations

import copy
import uuid
from datetime import UTC, datetime
from typing import Any, TypeVar

T = TypeVar("T")
Entity = dict[str, Any]

# The cards of the checkout, by what they do.
CARDS = {"good": "4242", "declined": "0002", "fails_later": "0341"}


def iso(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment_of(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def period(starts: datetime, ends: datetime) -> Entity:
    return {"starts_at": iso(starts), "ends_at": iso(ends)}


def copied(entity: T) -> T:
    """An entity inside another one is a snapshot: what changes later does not change it."""
    return copy.deepcopy(entity)


def product(identifier: str, now: str, given: Entity) -> Entity:
    return {
        "id": identifier,
        "name": given["name"],
        "type": given.get("type", "standard"),
        "tax_category": given["tax_category"],
        "description": given.get("description"),
        "image_url": given.get("image_url"),
        "custom_data": given.get("custom_data"),
        "status": "active",
        "import_meta": None,
        "created_at": now,
        "updated_at": now,
    }


def price(identifier: str, now: str, given: Entity) -> Entity:
    return {
        "id": identifier,
        "product_id": given["product_id"],
        "type": given.get("type", "standard"),
        "name": given.get("name"),
        "description": given["description"],
        "billing_cycle": given.get("billing_cycle"),
        "trial_period": given.get("trial_period"),
        "tax_mode": given.get("tax_mode", "account_setting"),
        "unit_price": given["unit_price"],
        "unit_price_overrides": given.get("unit_price_overrides", []),
        "quantity": given.get("quantity", {"minimum": 1, "maximum": 100}),
        "custom_data": given.get("custom_data"),
        "status": "active",
        "import_meta": None,
        "created_at": now,
        "updated_at": now,
    }


def customer(identifier: str, now: str, given: Entity) -> Entity:
    return {
        "id": identifier,
        "name": given.get("name"),
        "email": given["email"],
        "locale": given.get("locale", "en"),
        "status": "active",
        "marketing_consent": False,
        "custom_data": given.get("custom_data"),
        "import_meta": None,
        "created_at": now,
        "updated_at": now,
    }


def address(identifier: str, now: str, customer_id: str) -> Entity:
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


def transaction(identifier: str, now: str, *, origin: str, currency: str, link: str) -> Entity:
    """A draft without lines; whoever makes it fills in the rest."""
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
        "items": [],
        "details": {},
        "payments": [],
        "checkout": {"url": f"{link}{'&' if '?' in link else '?'}_ptxn={identifier}"},
        "created_at": now,
        "updated_at": now,
        "billed_at": None,
        "revised_at": None,
    }


def payment(now: str, *, amount: str, card: str, method_id: str, error: str | None) -> Entity:
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


def payment_method(identifier: str, now: str, *, customer_id: str, address_id: str) -> Entity:
    return {
        "id": identifier,
        "customer_id": customer_id,
        "address_id": address_id,
        "type": "card",
        "origin": "saved_during_purchase",
        "saved_at": now,
        "updated_at": now,
    }


def subscription(identifier: str, now: str, paid: Entity) -> Entity:
    """The subscription that a paid transaction makes; periods and items come with its first period."""
    return {
        "id": identifier,
        "status": "active",
        "customer_id": paid["customer_id"],
        "address_id": paid["address_id"],
        "business_id": None,
        "currency_code": paid["currency_code"],
        "custom_data": paid["custom_data"],
        "items": [],
        "billing_cycle": None,
        "current_billing_period": None,
        "scheduled_change": None,
        "next_billed_at": None,
        "started_at": now,
        "first_billed_at": None,
        "paused_at": None,
        "canceled_at": None,
        "discount": None,
        "billing_details": None,
        "collection_mode": "automatic",
        "import_meta": None,
        "created_at": now,
        "updated_at": now,
    }


def subscription_item(now: str, *, price: Entity, product: Entity, quantity: int) -> Entity:
    return {
        "price": price,
        "product": product,
        "status": "active",
        "quantity": quantity,
        "recurring": price["billing_cycle"] is not None,
        "created_at": now,
        "updated_at": now,
        "trial_dates": None,
        "next_billed_at": None,
        "previously_billed_at": None,
    }


def adjustment(identifier: str, now: str, adjusted: Entity, *, action: str, reason: str) -> Entity:
    """An adjustment of a transaction, without its items and totals."""
    return {
        "id": identifier,
        "action": action,
        "type": "full",
        "status": "approved",
        "reason": reason,
        "customer_id": adjusted["customer_id"],
        "transaction_id": adjusted["id"],
        "subscription_id": adjusted["subscription_id"],
        "currency_code": adjusted["currency_code"],
        "credit_applied_to_balance": None,
        "items": [],
        "totals": {},
        "payout_totals": {},
        "tax_rates_used": [],
        "created_at": now,
        "updated_at": now,
    }


def notification_setting(identifier: str, given: Entity, *, secret: str) -> Entity:
    return {
        "id": identifier,
        "description": given["description"],
        "type": given.get("type", "url"),
        "destination": given["destination"],
        "active": given.get("active", True),
        "api_version": given.get("api_version", 1),
        "include_sensitive_fields": given.get("include_sensitive_fields", False),
        "traffic_source": given.get("traffic_source", "all"),
        "subscribed_events": [],
        "endpoint_secret_key": secret,
    }


def client_token(identifier: str, now: str, given: Entity) -> Entity:
    return {
        "id": identifier,
        "name": given["name"],
        "description": given.get("description"),
        "token": f"test_{uuid.uuid4().hex[:27]}",
        "status": "active",
        "created_at": now,
        "updated_at": now,
        "revoked_at": None,
    }
