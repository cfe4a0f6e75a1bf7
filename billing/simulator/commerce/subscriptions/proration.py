"""The bill of a change of items: its lines now and with the next period, and the period they are for.

The prorated modes charge what is added and give back what is removed, for the part of the period that is left. The
full modes charge what is added in full and give nothing back, which is how we read Paddle's sentence on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime

from billing.simulator.bodies.subscriptions import ChangedItem, SubscriptionChange
from billing.simulator.commerce import catalogue, money
from billing.simulator.commerce.subscriptions import periods
from billing.simulator.commerce.transactions import OrderLine
from billing.simulator.errors import RequestError, invalid_field
from billing.simulator.schemas import subscriptions as schemas
from billing.simulator.schemas.amounts import Proration
from billing.simulator.schemas.subscriptions import Subscription, SubscriptionItem
from billing.simulator.schemas.times import Duration, Period, iso, period
from billing.simulator.state import State


@dataclass(frozen=True)
class ItemChange:
    """New items, the lines they bill now and with the next period, and the new period where the interval changes."""

    items: list[SubscriptionItem]
    now: list[OrderLine] = field(default_factory=list)
    later: list[OrderLine] = field(default_factory=list)
    period: Period | None = None


def plan(state: State, subscription: Subscription, body: SubscriptionChange) -> ItemChange | None:
    """Returns what becomes of the items, or None if they stay. Raises `RequestError`."""
    mode = body.proration_billing_mode
    if body.items is None or mode is None:
        return None
    now = state.moment()
    before = {item["price"]["id"]: item["quantity"] for item in subscription["items"]}
    after = _quantities(state, before, body.items)
    items = [_item(state, subscription, price_id, quantity, iso(now)) for price_id, quantity in after.items()]
    if shared_cycle(items) != subscription["billing_cycle"] and subscription["status"] == "active":
        return _change_of_interval(subscription, items, before, after, now, mode)
    # A price in both has a delta of zero, or of the change in its quantity.
    deltas = {price_id: after.get(price_id, 0) - before.get(price_id, 0) for price_id in after | before}
    lines = _lines(subscription, deltas, now, mode)
    if mode.endswith("_next_billing_period"):
        return ItemChange(items, later=lines)
    return ItemChange(items, now=lines)


def shared_cycle(items: Sequence[SubscriptionItem]) -> Duration:
    """Returns the billing cycle of all items. Raises `RequestError` if they have several."""
    first, *others = [item["price"]["billing_cycle"] for item in items]
    if first is None or any(cycle != first for cycle in others):
        raise RequestError("subscription_new_items_not_valid", "All items must share a billing cycle.")
    return first


def _change_of_interval(
    subscription: Subscription,
    items: list[SubscriptionItem],
    before: Mapping[str, int],
    after: Mapping[str, int],
    now: datetime,
    mode: str,
) -> ItemChange:
    """A new period begins now; the rest of the old one is given back where that is prorated."""
    if mode.endswith("_next_billing_period"):
        raise invalid_field("proration_billing_mode", "Another interval is billed immediately or not at all.")
    new = period(now, now + periods.span(shared_cycle(items)))
    if mode == "do_not_bill":
        return ItemChange(items, period=new)
    added = [OrderLine(price_id, quantity) for price_id, quantity in after.items()]
    removed = _lines(subscription, {price_id: -quantity for price_id, quantity in before.items()}, now, mode)
    return ItemChange(items, now=added + removed, period=new)


def _lines(subscription: Subscription, deltas: Mapping[str, int], now: datetime, mode: str) -> list[OrderLine]:
    if mode == "do_not_bill":
        return []
    # Added items stand before removed ones, as Paddle lists them.
    ordered = sorted(deltas.items(), key=lambda delta: delta[1] < 0)
    if mode.startswith("full"):
        return [OrderLine(price_id, quantity) for price_id, quantity in ordered if quantity > 0]
    current = periods.running_period(subscription)
    rest: Period = {"starts_at": iso(now), "ends_at": current["ends_at"]}
    share: Proration = {"rate": str(money.share_left(current, now)), "billing_period": rest}
    return [OrderLine(price_id, quantity, share) for price_id, quantity in ordered if quantity]


def _quantities(state: State, before: Mapping[str, int], items: Sequence[ChangedItem]) -> dict[str, int]:
    after: dict[str, int] = {}
    for item in items:
        quantity = item.quantity if item.quantity is not None else before.get(item.price_id)
        if quantity is None:
            detail = f"quantity is required for the new item {item.price_id}."
            raise RequestError("subscription_quantity_missing_for_new_items", detail)
        if item.price_id in after:
            raise RequestError("subscription_duplicate_price_ids", f"{item.price_id} is in the list twice.")
        catalogue.buyable(state, item.price_id, quantity, out_of_range="subscription_quantity_not_valid")
        after[item.price_id] = quantity
    return after


def _item(state: State, subscription: Subscription, price_id: str, quantity: int, now: str) -> SubscriptionItem:
    """Returns an item that stays with its dates, or a new one that is billed with the others."""
    for item in subscription["items"]:
        if item["price"]["id"] == price_id:
            return {**item, "quantity": quantity, "updated_at": now}
    price = deepcopy(state.prices.get(price_id))
    if not price["billing_cycle"]:
        raise RequestError("subscription_new_items_not_valid", f"{price_id} is billed once; charge it instead.")
    product = deepcopy(state.products.get(price["product_id"]))
    made = schemas.subscription_item(now, price=price, product=product, quantity=quantity)
    # All items of a subscription are billed together, so any of them has the dates.
    like = subscription["items"][0]
    made |= {"status": like["status"], "trial_dates": like["trial_dates"]}
    made |= {"next_billed_at": like["next_billed_at"], "previously_billed_at": like["previously_billed_at"]}
    return made
