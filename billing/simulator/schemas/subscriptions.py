"""Subscriptions, their items and scheduled changes, and what Paddle previews of a change."""

from __future__ import annotations

from typing import Literal, TypedDict

from billing.simulator.schemas.amounts import PreviewedDetails
from billing.simulator.schemas.catalogue import CustomData, Money, Price, Product
from billing.simulator.schemas.times import Duration, Period
from billing.simulator.schemas.transactions import PreviewedTransaction

Status = Literal["active", "trialing", "past_due", "paused", "canceled"]
Action = Literal["cancel", "pause", "resume"]


class SubscriptionItem(TypedDict):
    price: Price
    product: Product
    status: Literal["active", "trialing"]
    quantity: int
    recurring: bool
    created_at: str
    updated_at: str
    trial_dates: Period | None
    next_billed_at: str | None
    previously_billed_at: str | None


class ScheduledChange(TypedDict):
    action: Action
    effective_at: str
    resume_at: str | None


class SubscriptionFields(TypedDict):
    """A subscription as previews carry it: with everything but its id."""

    status: Status
    customer_id: str
    address_id: str
    business_id: None
    currency_code: str
    custom_data: CustomData
    items: list[SubscriptionItem]
    billing_cycle: Duration
    current_billing_period: Period | None
    scheduled_change: ScheduledChange | None
    next_billed_at: str | None
    started_at: str
    first_billed_at: str | None
    paused_at: str | None
    canceled_at: str | None
    discount: None
    billing_details: None
    collection_mode: Literal["automatic"]
    import_meta: None
    created_at: str
    updated_at: str


class Subscription(SubscriptionFields):
    id: str


class SummaryResult(Money):
    action: Literal["credit", "charge"]


class UpdateSummary(TypedDict):
    """The amounts are unsigned; the result's action says which way the money goes."""

    credit: Money
    charge: Money
    result: SummaryResult


class SubscriptionPreview(SubscriptionFields):
    immediate_transaction: PreviewedTransaction | None
    next_transaction: PreviewedTransaction | None
    recurring_transaction_details: PreviewedDetails
    update_summary: UpdateSummary | None


def subscription(
    identifier: str,
    now: str,
    *,
    started_at: str,
    customer_id: str,
    address_id: str,
    currency: str,
    custom_data: CustomData,
    items: list[SubscriptionItem],
) -> Subscription:
    """A subscription before its first period."""
    cycle = items[0]["price"]["billing_cycle"]
    assert cycle, "Only recurring prices are subscribed to."
    return {
        "id": identifier,
        "status": "active",
        "customer_id": customer_id,
        "address_id": address_id,
        "business_id": None,
        "currency_code": currency,
        "custom_data": custom_data,
        "items": items,
        "billing_cycle": cycle,
        "current_billing_period": None,
        "scheduled_change": None,
        "next_billed_at": None,
        "started_at": started_at,
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


def subscription_item(now: str, *, price: Price, product: Product, quantity: int) -> SubscriptionItem:
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
