"""The past of a demo account: a customer, a subscription renewed until now, and purchases, none of them notified."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from billing.simulator.bodies.history import History, Purchase
from billing.simulator.commerce import checkout, customers, transactions
from billing.simulator.commerce.subscriptions import lifecycle
from billing.simulator.commerce.transactions import OrderLine
from billing.simulator.errors import invalid_field
from billing.simulator.schemas.catalogue import CustomData
from billing.simulator.schemas.customers import Customer
from billing.simulator.schemas.notifications import Event, Webhook
from billing.simulator.schemas.subscriptions import Subscription
from billing.simulator.state import State


class Lived(TypedDict):
    """The past as the dashboard gets it; `events` are complete webhooks, oldest first."""

    customer_id: str
    subscription_id: str | None
    events: list[Webhook]


def create(state: State, body: History) -> Lived:
    """Live through the past in order. Raises `RequestError` for anything that is not in the past."""
    now = state.now()
    if not all(body.started_at <= purchase.at <= now for purchase in body.purchases) or body.started_at > now:
        raise invalid_field("started_at", "Purchases lie between started_at and now.")
    with state.history(body.started_at) as events:
        with state.at(body.started_at):
            who = body.customer
            customer = customers.create(
                state, email=who.email, name=who.name, locale=who.locale, custom_data=who.custom_data
            )
            subscription = _buy(state, customer, body.price_id, 1, body.custom_data) if body.price_id else None
        _live(state, customer, subscription, sorted(body.purchases, key=lambda one: one.at), now)
    return {
        "customer_id": customer["id"],
        "subscription_id": subscription["id"] if subscription else None,
        "events": [_webhook(state, event) for event in events],
    }


def _live(
    state: State, customer: Customer, subscription: Subscription | None, purchases: list[Purchase], now: datetime
) -> None:
    while True:
        due = subscription and lifecycle.due_at(state, subscription)
        coming = purchases[0].at if purchases else None
        # Whichever is earlier happens first: a purchase, or what falls due.
        if coming and not (due and due < coming):
            bought = purchases.pop(0)
            with state.at(coming):
                _buy(state, customer, bought.price_id, bought.quantity, bought.custom_data)
        elif subscription and due and due <= now:
            with state.at(due):
                lifecycle.fall_due(state, subscription)
        else:
            return


def _buy(
    state: State, customer: Customer, price_id: str, quantity: int, custom_data: CustomData
) -> Subscription | None:
    """Complete a checkout. Returns the subscription it made, if any."""
    made = transactions.create(
        state,
        [OrderLine(price_id, quantity)],
        customer_id=customer["id"],
        address_id=None,
        custom_data=custom_data,
    )
    checkout.pay(state, made, card="good", email=customer["email"])
    return state.subscriptions.get(made["subscription_id"]) if made["subscription_id"] else None


def _webhook(state: State, event: Event) -> Webhook:
    return {
        "event_id": event["event_id"],
        "event_type": event["event_type"],
        "occurred_at": event["occurred_at"],
        "notification_id": state.new_id("ntf"),
        "data": event["data"],
    }
