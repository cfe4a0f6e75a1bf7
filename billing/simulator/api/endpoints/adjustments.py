"""Refunds and chargebacks."""

from __future__ import annotations

from collections.abc import Sequence

from billing.simulator.api.listing import Page, Sizes, fields, paged
from billing.simulator.api.routes import ID, Result, Route
from billing.simulator.bodies.body import read
from billing.simulator.bodies.transactions import AdjustedItem, NewAdjustment
from billing.simulator.commerce import adjustments
from billing.simulator.errors import RequestError, invalid_field
from billing.simulator.http import Request
from billing.simulator.schemas.adjustments import Adjustment
from billing.simulator.state import State


def create_adjustment(request: Request, state: State) -> Result:
    body = read(NewAdjustment, request.body)
    transaction = state.transactions.get(body.transaction_id)
    if body.action == "credit":
        detail = "Only manually collected transactions can be credited."
        raise RequestError("adjustment_transaction_invalid_status_for_credit", detail)
    if (body.type == "full") == bool(body.items):
        raise invalid_field("items", "A full adjustment has no items, a partial one names them.")
    return Result(adjustments.refund(state, transaction, _amounts(body.items), reason=body.reason))


def list_adjustments(request: Request, state: State) -> Page:
    filters = fields("id", "customer_id", "subscription_id", "transaction_id", "action", "status")
    return paged(request, state.adjustments.rows(), filters, sizes=Sizes(10, 50))


def get_adjustment(request: Request, state: State, adjustment_id: str) -> Adjustment:
    return state.adjustments.get(adjustment_id)


ROUTES: list[Route] = [
    ("POST", "/adjustments", create_adjustment),
    ("GET", "/adjustments", list_adjustments),
    ("GET", f"/adjustments/{ID}", get_adjustment),
]


def _amounts(items: Sequence[AdjustedItem] | None) -> dict[str, int | None] | None:
    """Returns amounts by line, None for whole lines; no mapping where the whole transaction is meant."""
    if items is None:
        return None
    amounts: dict[str, int | None] = {}
    for item in items:
        if item.type == "partial" and item.amount is None:
            raise invalid_field("items.amount", "A partial adjustment of a line needs its amount.")
        if item.item_id in amounts:
            raise RequestError("adjustment_transaction_item_invalid", f"{item.item_id} is in the list twice.")
        amounts[item.item_id] = int(item.amount) if item.type == "partial" and item.amount else None
    return amounts
