"""Paddle as the tests play it: bodies in its documented shapes, and its signature."""

from __future__ import annotations

import hmac
import json
import uuid
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from django.test import Client
from django.utils import timezone

from billing.models import Adjustment, PaddleEvent, PlanPrice, Purchase, Subscription, Transaction
from billing.paddle import inbox
from sidekick.accounts.models import User


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
STARTER, PRO, CREDIT, YEAR_OF_STARTER, YEAR_OF_PRO = (f"pri_01k{letter * 23}" for letter in "spcty")
MARCH, APRIL, MAY, JUNE, JULY = (f"2026-{month:02}-16T09:20:11.482000Z" for month in range(3, 8))
UPGRADED = "2026-03-30T12:00:00Z"

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


def name(prefix: str, number: int) -> str:
    """Paddle's name of the so manieth thing of a test."""
    return f"{prefix}_01k{number:023}"


def line(price: str, quantity: int = 1, total: int = 1633, *, number: int = 1, prorated: bool = False) -> Body:
    """One line of a payment; `total` is in cents with tax."""
    return {
        "id": name("txnitm", number),
        "price_id": price,
        "quantity": quantity,
        "totals": {"subtotal": str(total), "tax": "0", "total": str(total), "discount": "0"},
        "proration": {"rate": "0.5", "billing_period": None} if prorated else None,
    }


def payment(number: int, *lines: Body, span: tuple[str, str] | None = None, **changes: object) -> Body:
    """A completed payment of these lines, for the billing period `span` where it is one of a plan."""
    total = str(sum(int(each["totals"]["total"]) for each in lines))
    totals = {"subtotal": total, "tax": "0", "total": total, "grand_total": total}
    data = transaction(
        id=name("txn", number),
        details={"totals": totals, "line_items": list(lines)},
        billing_period=span and {"starts_at": span[0], "ends_at": span[1]},
        custom_data=None,
        created_at=span[0] if span else "2026-03-18T14:02:10Z",
    )
    return data | changes


def renewal(number: int, price: str, start: str, end: str, **changes: object) -> Body:
    """A renewal, which the plan's subscription pays by itself."""
    own: Body = {"subscription_id": SUBSCRIPTION, "origin": "subscription_recurring"}
    return payment(number, line(price, number=number), span=(start, end), **own | changes)


def upgrade(number: int, start: str, end: str, old: str = STARTER, new: str = PRO, **changes: object) -> Body:
    """The payment for a change of plan: the new plan's share, less the old one's."""
    lines = [
        line(new, 1, 2907, number=number, prorated=True),
        line(old, -1, -1127, number=number + 5000, prorated=True),
    ]
    own: Body = {"subscription_id": SUBSCRIPTION, "origin": "subscription_update"}
    return payment(number, *lines, span=(start, end), **own | changes)


def customer(account: User | None = None, **changes: object) -> Body:
    data: Body = {
        "id": CUSTOMER,
        "status": "active",
        "email": "maya@example.com",
        "name": "Maya",
        "locale": "en",
        "marketing_consent": False,
        "custom_data": {"account_id": str(account.id)} if account else None,
    }
    return data | changes


def refund(number: int, money: int, of: str = TRANSACTION, line_id: str | None = LINE, **changes: object) -> Body:
    """So many cents that went back, of one line or, without, of all of it."""
    totals = {"subtotal": str(money), "tax": "0", "total": str(money)}
    items = [{"id": "adjitm_1", "item_id": line_id, "type": "partial", "amount": str(money), "totals": totals}]
    own: Body = {"id": name("adj", number), "transaction_id": of, "totals": totals, "items": items if line_id else []}
    return adjustment(**own | changes)


def buys(account: User, transaction_id: str = TRANSACTION, price: str = CREDIT, quantity: int = 137) -> Purchase:
    """Our own note that this account set out to buy; Paddle answered with the transaction."""
    sold = PlanPrice.objects.get(paddle_price_id=price)
    return Purchase.objects.create(
        account=account,
        price=sold,
        quantity=quantity,
        amount=sold.amount * quantity,
        currency="USD",
        token=uuid.uuid4(),
        transaction_id=transaction_id,
    )


_numbers = count(1)


def moment(text: str, **later: float) -> datetime:
    return datetime.fromisoformat(text) + timedelta(**later)


def receive(body: Body | bytes, now: datetime) -> PaddleEvent:
    """Take an event in as the webhook does, at this moment."""
    return inbox.receive(body if isinstance(body, bytes) else json.dumps(body).encode(), now=now)[0]


def hear(event_type: str, data: Body, at: str = AT, *, now: datetime | None = None) -> PaddleEvent:
    """Something happened at Paddle, and two seconds later we hear of it; it must be applied."""
    told = receive(event(next(_numbers), event_type, data, at), now or moment(at, seconds=2))
    assert told.state == "applied", told.error
    return told


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


def paid_by_a_stranger(**changes: Any) -> None:
    """A payment that only a browser began, so that nothing links it to an account."""
    assert post(event(1, "transaction.completed", transaction(origin="web", **changes))).json()["state"] == "applied"


def stored_snapshots() -> dict[str, Body]:
    """Everything that is known of Paddle's things, by id."""
    rows: list[Body] = [
        dict(row) for model in (Subscription, Transaction, Adjustment) for row in model._default_manager.values()
    ]
    return {row["id"]: row for row in rows}
