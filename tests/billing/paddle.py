"""Paddle as the tests play it: bodies in its documented shapes, and its signature."""

from __future__ import annotations

import hmac
import json
from datetime import datetime, timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from billing.models import Adjustment, Subscription, Transaction


def sign(body: bytes, *, secret: str, at: datetime) -> str:
    """The header that Paddle would send with `body`."""
    stamp = str(int(at.timestamp()))
    return f"ts={stamp};h1={hmac.digest(secret.encode(), f'{stamp}:'.encode() + body, 'sha256').hex()}"


SECRET = "pdl_ntfset_of_these_tests"
CUSTOMER = "ctm_01kaaaaaaaaaaaaaaaaaaaaaaa"
SUBSCRIPTION = "sub_01kaaaaaaaaaaaaaaaaaaaaaaa"
TRANSACTION = "txn_01kaaaaaaaaaaaaaaaaaaaaaaa"
ADJUSTMENT = "adj_01kaaaaaaaaaaaaaaaaaaaaaaa"
LINE = "txnitm_01kaaaaaaaaaaaaaaaaaaaaaaa"
STARTER, PRO, CREDIT = (f"pri_01k{letter * 23}" for letter in "spc")
MARCH, APRIL, MAY = (f"2026-{month:02}-16T09:20:11.482000Z" for month in (3, 4, 5))

AT = "2026-03-16T09:20:31.004120Z"

Body = dict[str, Any]


def event(number: int, event_type: str, data: Body, at: str = AT, /, **changes: object) -> Body:
    """One event; its number names it, so that the same number is the same event."""
    envelope: Body = {
        "event_id": f"evt_01k{number:023}",
        "event_type": event_type,
        "occurred_at": at,
        "notification_id": f"ntf_01k{number:023}",
        "data": data,
    }
    return envelope | changes


def subscription(price: str = STARTER, **changes: object) -> Body:
    data: Body = {
        "id": SUBSCRIPTION,
        "status": "active",
        "customer_id": CUSTOMER,
        "currency_code": "USD",
        "collection_mode": "automatic",
        "custom_data": {"account_id": "acct_1", "kind": "plan", "plan": "starter"},
        "items": [{"price": {"id": price, "name": "Monthly"}, "quantity": 1, "status": "active", "recurring": True}],
        "current_billing_period": {"starts_at": MARCH, "ends_at": APRIL},
        "next_billed_at": APRIL,
        "scheduled_change": None,
        "started_at": "2026-03-02T09:20:11.482Z",
        "first_billed_at": MARCH,
        "paused_at": None,
        "canceled_at": None,
        "discount": None,
        "management_urls": None,
    }
    return data | changes


def transaction(quantity: int = 137, **changes: object) -> Body:
    """A purchase of credits, at 25 cents each with tax on top."""
    subtotal = 25 * quantity
    tax = round(subtotal * 0.08875)
    totals = {"subtotal": str(subtotal), "tax": str(tax), "total": str(subtotal + tax), "discount": "0"}
    data: Body = {
        "id": TRANSACTION,
        "status": "completed",
        "origin": "api",
        "customer_id": CUSTOMER,
        "subscription_id": None,
        "currency_code": "USD",
        "custom_data": {"account_id": "acct_1", "kind": "credits"},
        "items": [{"price": {"id": CREDIT}, "quantity": quantity, "proration": None}],
        "details": {
            "totals": {**totals, "grand_total": totals["total"], "credit": "0", "fee": None, "currency_code": "USD"},
            "line_items": [{"id": LINE, "price_id": CREDIT, "quantity": quantity, "totals": totals}],
        },
        "payments": [],
        "billing_period": None,
        "invoice_number": "74410-10018",
        "created_at": "2026-03-18T14:02:10.400117417Z",
        "billed_at": "2026-03-18T14:05:00.117Z",
    }
    return data | changes


def adjustment(status: str = "approved", **changes: object) -> Body:
    totals = {"subtotal": "1000", "tax": "89", "total": "1089"}
    data: Body = {
        "id": ADJUSTMENT,
        "action": "refund",
        "type": "partial",
        "status": status,
        "reason": "requested_by_customer",
        "customer_id": CUSTOMER,
        "transaction_id": TRANSACTION,
        "subscription_id": None,
        "currency_code": "USD",
        "totals": {**totals, "fee": "54", "currency_code": "USD"},
        "items": [{"id": "adjitm_1", "item_id": LINE, "type": "partial", "amount": "1089", "totals": totals}],
        "created_at": "2026-07-17T10:12:04.331208Z",
    }
    return data | changes


def post(body: Body | bytes, *, header: str | None = None, age: int = 0) -> Any:
    """Deliver it as Paddle does, signed a moment ago unless told otherwise."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signed = sign(raw, secret=SECRET, at=timezone.now() - timedelta(seconds=age))
    return Client(enforce_csrf_checks=True).post(
        "/webhooks/paddle",
        raw,
        content_type="application/json",
        headers={"Paddle-Signature": signed if header is None else header},
    )


def snapshots() -> dict[str, Body]:
    """Everything that is known of Paddle's things, by id."""
    rows: list[Body] = [
        dict(row) for model in (Subscription, Transaction, Adjustment) for row in model._default_manager.values()
    ]
    return {row["id"]: row for row in rows}
