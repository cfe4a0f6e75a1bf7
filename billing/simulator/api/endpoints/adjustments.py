"""Refunds, and what the bank took back."""

from __future__ import annotations

from billing.simulator.api import bodies
from billing.simulator.api.calls import ID, Call, Done, Route, listed
from billing.simulator.api.listing import Page, Sizes
from billing.simulator.commerce import adjustments
from billing.simulator.errors import Refused, invalid
from billing.simulator.schemas import Entity
from billing.simulator.state import State


def create_adjustment(call: Call, state: State) -> Done:
    sent = bodies.read(bodies.NewAdjustment, call.body)
    transaction = state.get("txn", sent.transaction_id)
    if sent.action == "credit":
        detail = "Only manually collected transactions can be credited."
        raise Refused("adjustment_transaction_invalid_status_for_credit", detail)
    if (sent.type == "full") == bool(sent.items):
        raise invalid("items", "A full adjustment has no items, a partial one names them.")
    return Done(adjustments.refund(state, transaction, _amounts(sent.items), reason=sent.reason))


def list_adjustments(call: Call, state: State) -> Page:
    names = ("id", "customer_id", "subscription_id", "transaction_id", "action", "status")
    return listed(call, state, "adj", *names, sizes=Sizes(10, 50))


def get_adjustment(call: Call, state: State, adjustment_id: str) -> Entity:
    return state.get("adj", adjustment_id)


ROUTES: list[Route] = [
    ("POST", "/adjustments", create_adjustment),
    ("GET", "/adjustments", list_adjustments),
    ("GET", f"/adjustments/{ID}", get_adjustment),
]


def _amounts(items: list[bodies.AdjustedItem] | None) -> dict[str, int | None] | None:
    """Amounts by line, None for whole lines; None where all of the transaction is meant."""
    if items is None:
        return None
    amounts: dict[str, int | None] = {}
    for item in items:
        if item.type == "partial" and item.amount is None:
            raise invalid("items.amount", "A partial adjustment of a line needs its amount.")
        if item.item_id in amounts:
            raise Refused("adjustment_transaction_item_invalid", f"{item.item_id} is in the list twice.")
        amounts[item.item_id] = int(item.amount) if item.type == "partial" and item.amount else None
    return amounts
