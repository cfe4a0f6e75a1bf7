"""A past for demo accounts: a customer, a subscription renewed until now, and purchases, none of them notified."""

from __future__ import annotations

from datetime import datetime

from billing.simulator.api.bodies import History, Purchase, given
from billing.simulator.commerce import checkout, customers, subscriptions, transactions
from billing.simulator.commerce.transactions import Wanted
from billing.simulator.errors import invalid
from billing.simulator.schemas import Entity
from billing.simulator.state import State


def tell(state: State, wished: History) -> Entity:
    """Live through the past in order. Answers `customer_id`, `subscription_id` (or None) and the `events`, complete."""
    now = state.now()
    if not all(wished.started_at <= purchase.at <= now for purchase in wished.purchases) or wished.started_at > now:
        raise invalid("started_at", "Purchases lie between started_at and now.")
    with state.history(wished.started_at) as events:
        with state.at(wished.started_at):
            customer = customers.create(state, given(wished.customer))
            subscription = wished.price_id and _buy(state, customer, wished.price_id, 1, wished.custom_data)
        _live(state, customer, subscription or None, sorted(wished.purchases, key=lambda one: one.at), now)
    return {
        "customer_id": customer["id"],
        "subscription_id": subscription["id"] if subscription else None,
        "events": [_complete(state, event) for event in events],
    }


def _live(
    state: State, customer: Entity, subscription: Entity | None, purchases: list[Purchase], now: datetime
) -> None:
    while True:
        due = subscription and subscriptions.due_at(state, subscription)
        coming = purchases[0].at if purchases else None
        if coming and not (due and due < coming):
            bought = purchases.pop(0)
            with state.at(coming):
                _buy(state, customer, bought.price_id, bought.quantity, bought.custom_data)
        elif subscription and due and due <= now:
            with state.at(due):
                subscriptions.fall_due(state, subscription)
        else:
            return


def _buy(state: State, customer: Entity, price_id: str, quantity: int, custom_data: Entity | None) -> Entity | None:
    """A completed checkout; answers the subscription it made, if any."""
    made = transactions.create(
        state,
        [Wanted(price_id, quantity)],
        customer_id=customer["id"],
        address_id=None,
        custom_data=custom_data,
    )
    checkout.pay(state, made, card="good", email=customer["email"])
    return state.get("sub", made["subscription_id"]) if made["subscription_id"] else None


def _complete(state: State, event: Entity) -> Entity:
    named = {name: event[name] for name in ("event_id", "event_type", "occurred_at")}
    return named | {"notification_id": state.new_id("ntf"), "data": event["data"]}
