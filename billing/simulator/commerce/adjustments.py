"""Refunds and chargebacks: money taken back from a completed transaction, line by line.

A refund waits for approval, one at a time on a transaction. Chargebacks are the bank's and need no approval. A reversal
gives back what its adjustment took.
"""

from __future__ import annotations

from collections.abc import Mapping

from billing.simulator import schemas
from billing.simulator.commerce import money
from billing.simulator.errors import Refused
from billing.simulator.schemas import Entity, iso
from billing.simulator.state import State

STANDING = {"approved", "reversed"}


def refund(state: State, transaction: Entity, amounts: Mapping[str, int | None] | None, *, reason: str) -> Entity:
    """A refund of whole lines (None), of amounts in minor units with tax, or (no mapping) of all that is left.

    It is pending unless refunds are approved at once. Raises `Refused` and makes nothing.
    """
    if transaction["status"] != "completed":
        detail = f"The transaction is {transaction['status']}, not completed."
        raise Refused("adjustment_transaction_invalid_status_for_refund", detail)
    _check_pending(state, transaction)
    made = _make(state, transaction, amounts, action="refund", reason=reason)
    made["status"] = "pending_approval"
    state.add(made)
    state.tell("adjustment.created", made)
    if state.memory.modes["approve_at_once"]:
        review(state, made, approved=True)
    return made


def review(state: State, adjustment: Entity, *, approved: bool) -> None:
    if adjustment["status"] != "pending_approval":
        raise Refused("conflict", f"The refund is {adjustment['status']} and waits for no review.")
    adjustment["status"] = "approved" if approved else "rejected"
    state.tell("adjustment.updated", adjustment)
    if approved:
        _show_in_transaction(state, adjustment["transaction_id"])


def charge_back(state: State, transaction: Entity, *, warning: bool) -> Entity:
    """All that is left of the transaction goes back to the customer's bank."""
    if transaction["status"] != "completed":
        raise Refused("adjustment_transaction_item_invalid", "Only completed transactions can be charged back.")
    action = "chargeback_warning" if warning else "chargeback"
    made = state.add(_make(state, transaction, None, action=action, reason="The cardholder disputes it."))
    state.tell("adjustment.created", made)
    _show_in_transaction(state, transaction["id"])
    return made


def reverse(state: State, adjustment: Entity) -> Entity:
    """The bank decided for us. The adjustment becomes `reversed`, of which no event tells, as with Paddle."""
    if not adjustment["action"].startswith("chargeback") or adjustment["status"] != "approved":
        raise Refused("conflict", "Only a standing chargeback or its warning can be reversed.")
    made: Entity = schemas.copied(adjustment)
    now = iso(state.moment())
    made |= {"id": state.new_id("adj"), "action": f"{adjustment['action']}_reverse"}
    made |= {"created_at": now, "updated_at": now}
    for item in made["items"]:
        item["id"] = state.new_id("adjitm")
    adjustment |= {"status": "reversed", "updated_at": now}
    state.add(made)
    state.tell("adjustment.created", made)
    _show_in_transaction(state, adjustment["transaction_id"])
    return made


def of_transaction(state: State, transaction_id: str) -> list[Entity]:
    return [row for row in state.rows("adj") if row["transaction_id"] == transaction_id]


def left_of(state: State, transaction: Entity) -> dict[str, int]:
    """What can still be taken back of each line, in minor units with tax; what is pending is spoken for."""
    left = {line["id"]: int(line["totals"]["total"]) for line in transaction["details"]["line_items"]}
    for sign, adjustment in _counted(state, transaction):
        for item in adjustment["items"]:
            left[item["item_id"]] -= sign * int(item["totals"]["total"])
    return left


def _counted(state: State, transaction: Entity) -> list[tuple[int, Entity]]:
    """Adjustments that take (1) or give back (-1)."""
    return [
        (-1 if row["action"].endswith("_reverse") else 1, row)
        for row in of_transaction(state, transaction["id"])
        if row["status"] in STANDING | {"pending_approval"}
    ]


def _taken(state: State, transaction: Entity) -> int:
    return sum(sign * int(row["totals"]["total"]) for sign, row in _counted(state, transaction))


def _sum(left: Mapping[str, int]) -> int:
    return sum(amount for amount in left.values() if amount > 0)


def _all_of(left: Mapping[str, int], most: int) -> dict[str, int | None]:
    """Everything, line after line. Lines that gave credit leave less than the others add up to."""
    amounts: dict[str, int | None] = {}
    for line_id, amount in left.items():
        if min(amount, most) > 0:
            amounts[line_id] = min(amount, most)
            most -= min(amount, most)
    if not amounts:
        detail = "The transaction was adjusted in full already."
        raise Refused("adjustment_transaction_item_has_already_been_fully_adjusted", detail)
    return amounts


def _make(
    state: State, transaction: Entity, amounts: Mapping[str, int | None] | None, *, action: str, reason: str
) -> Entity:
    left = left_of(state, transaction)
    most = min(int(transaction["details"]["totals"]["grand_total"]) - _taken(state, transaction), _sum(left))
    amounts = _all_of(left, most) if amounts is None else amounts
    made = schemas.adjustment(state.new_id("adj"), iso(state.moment()), transaction, action=action, reason=reason)
    made["items"] = [_item(state, transaction, left, line_id, amount) for line_id, amount in amounts.items()]
    whole = {line["id"]: "full" for line in transaction["details"]["line_items"] if int(line["totals"]["total"]) > 0}
    made["type"] = "full" if {i["item_id"]: i["type"] for i in made["items"]} == whole else "partial"
    made["totals"] = money.adjustment_totals(made["items"], made["currency_code"])
    if int(made["totals"]["total"]) > most:
        detail = f"{made['totals']['total']} is above the {most} that remain of the transaction."
        raise Refused("adjustment_total_amount_above_remaining_allowed", detail)
    made["payout_totals"] = schemas.copied(made["totals"])
    totals = {name: made["totals"][name] for name in ("tax", "total", "subtotal")}
    rate = transaction["details"]["tax_rates_used"][0]["tax_rate"]
    made["tax_rates_used"] = [{"tax_rate": rate, "totals": totals}]
    return made


def _item(state: State, transaction: Entity, left: Mapping[str, int], line_id: str, amount: int | None) -> Entity:
    lines = {line["id"]: line for line in transaction["details"]["line_items"]}
    if line_id not in lines:
        raise Refused("adjustment_transaction_item_invalid", f"{line_id} is no line of this transaction.")
    whole = int(lines[line_id]["totals"]["total"])
    amount = whole if amount is None else amount
    if amount <= 0:
        raise Refused("adjustment_amount_cannot_be_zero", f"The amount for {line_id} must be above zero.")
    if amount > left[line_id]:
        detail = f"{amount} is above the {left[line_id]} that remain of {line_id}."
        raise Refused("adjustment_amount_above_remaining_allowed", detail)
    return {
        "id": state.new_id("adjitm"),
        "item_id": line_id,
        "type": "full" if amount == whole else "partial",
        "amount": str(amount),
        "proration": lines[line_id]["proration"],
        "totals": money.refunded(amount, line=lines[line_id]),
    }


def _check_pending(state: State, transaction: Entity) -> None:
    if any(row["status"] == "pending_approval" for row in of_transaction(state, transaction["id"])):
        raise Refused("adjustment_pending_refund_request", "A refund of this transaction is pending.")


def _show_in_transaction(state: State, transaction_id: str) -> None:
    transaction = state.get("txn", transaction_id)
    standing = [row for row in of_transaction(state, transaction_id) if row["status"] in STANDING]
    details = transaction["details"]
    details["adjusted_totals"] = money.adjusted(details["totals"], standing)
    state.tell("transaction.updated", transaction)
