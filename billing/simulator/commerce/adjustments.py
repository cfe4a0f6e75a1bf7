"""Refunds and chargebacks: money taken back from a completed transaction, line by line.

A refund waits for approval, one at a time on a transaction. Chargebacks are the bank's and need no approval. A reversal
gives back what its adjustment took.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy

from billing.simulator.commerce import money
from billing.simulator.errors import RequestError
from billing.simulator.schemas.adjustments import Action, Adjustment, AdjustmentItem
from billing.simulator.schemas.amounts import AdjustedAmounts
from billing.simulator.schemas.times import iso
from billing.simulator.schemas.transactions import Transaction
from billing.simulator.state import State

STANDING = {"approved", "reversed"}
REVERSES: dict[Action, Action] = {
    "chargeback": "chargeback_reverse",
    "chargeback_warning": "chargeback_warning_reverse",
}


def refund(
    state: State, transaction: Transaction, amounts: Mapping[str, int | None] | None, *, reason: str
) -> Adjustment:
    """Refund whole lines (None), amounts in minor units with tax, or (no mapping) all that is left.

    It is pending unless refunds are approved at once. Raises `RequestError` and makes nothing.
    """
    if transaction["status"] != "completed":
        detail = f"The transaction is {transaction['status']}, not completed."
        raise RequestError("adjustment_transaction_invalid_status_for_refund", detail)
    _check_pending(state, transaction)
    made = _make(state, transaction, amounts, action="refund", reason=reason)
    # Paddle's staff approves refunds; chargebacks are decided by the bank.
    made["status"] = "pending_approval"
    state.adjustments.add(made)
    state.emit("adjustment.created", made)
    if state.memory.modes["approve_at_once"]:
        review(state, made, approved=True)
    return made


def review(state: State, adjustment: Adjustment, *, approved: bool) -> None:
    if adjustment["status"] != "pending_approval":
        raise RequestError("conflict", f"The refund is {adjustment['status']} and waits for no review.")
    adjustment["status"] = "approved" if approved else "rejected"
    state.emit("adjustment.updated", adjustment)
    if approved:
        _show_in_transaction(state, adjustment["transaction_id"])


def charge_back(state: State, transaction: Transaction, *, warning: bool) -> Adjustment:
    """Give all that is left of the transaction back to the customer's bank."""
    if transaction["status"] != "completed":
        raise RequestError("adjustment_transaction_item_invalid", "Only completed transactions can be charged back.")
    action: Action = "chargeback_warning" if warning else "chargeback"
    made = state.adjustments.add(_make(state, transaction, None, action=action, reason="The cardholder disputes it."))
    state.emit("adjustment.created", made)
    _show_in_transaction(state, transaction["id"])
    return made


def reverse(state: State, adjustment: Adjustment) -> Adjustment:
    """Decide a chargeback or its warning for the seller: another adjustment gives back what it took."""
    if adjustment["action"] not in REVERSES or adjustment["status"] != "approved":
        raise RequestError("conflict", "Only a standing chargeback or its warning can be reversed.")
    made, now = deepcopy(adjustment), iso(state.moment())
    made |= {"id": state.new_id("adj"), "action": REVERSES[adjustment["action"]], "created_at": now, "updated_at": now}
    for item in made["items"]:
        item["id"] = state.new_id("adjitm")
    # No event tells that the adjustment is reversed, as with Paddle.
    adjustment |= {"status": "reversed", "updated_at": now}
    state.adjustments.add(made)
    state.emit("adjustment.created", made)
    _show_in_transaction(state, adjustment["transaction_id"])
    return made


def of_transaction(state: State, transaction_id: str) -> list[Adjustment]:
    return [row for row in state.adjustments.rows() if row["transaction_id"] == transaction_id]


def left_of(state: State, transaction: Transaction) -> dict[str, int]:
    """Returns what can still be taken back of each line, in minor units with tax; pending refunds count as taken."""
    left = {line["id"]: int(line["totals"]["total"]) for line in transaction["details"]["line_items"]}
    for sign, adjustment in _counted(state, transaction):
        for item in adjustment["items"]:
            left[item["item_id"]] -= sign * int(item["totals"]["total"])
    return left


def _counted(state: State, transaction: Transaction) -> list[tuple[int, Adjustment]]:
    """Returns the adjustments that take (1) or give back (-1)."""
    return [
        (-1 if row["action"].endswith("_reverse") else 1, row)
        for row in of_transaction(state, transaction["id"])
        if row["status"] in STANDING | {"pending_approval"}
    ]


def _taken(state: State, transaction: Transaction) -> int:
    return sum(sign * int(row["totals"]["total"]) for sign, row in _counted(state, transaction))


def _sum(left: Mapping[str, int]) -> int:
    return sum(amount for amount in left.values() if amount > 0)


def _all_of(left: Mapping[str, int], most: int) -> dict[str, int | None]:
    """Returns everything, line after line. Lines that gave credit leave less than the others add up to."""
    amounts: dict[str, int | None] = {}
    for line_id, amount in left.items():
        if min(amount, most) > 0:
            amounts[line_id] = min(amount, most)
            most -= min(amount, most)
    if not amounts:
        detail = "The transaction was adjusted in full already."
        raise RequestError("adjustment_transaction_item_has_already_been_fully_adjusted", detail)
    return amounts


def _make(
    state: State, transaction: Transaction, amounts: Mapping[str, int | None] | None, *, action: Action, reason: str
) -> Adjustment:
    """Returns an approved adjustment that is not stored yet."""
    assert transaction["customer_id"], "A completed transaction has a customer."
    left = left_of(state, transaction)
    # Lines may add up to more than was charged: credit of the balance, or of a removed item, paid the rest.
    most = min(int(transaction["details"]["totals"]["grand_total"]) - _taken(state, transaction), _sum(left))
    amounts = _all_of(left, most) if amounts is None else amounts
    identifier, now = state.new_id("adj"), iso(state.moment())
    items = [_item(state, transaction, left, line_id, amount) for line_id, amount in amounts.items()]
    totals = money.adjustment_totals(items, transaction["currency_code"])
    if int(totals["total"]) > most:
        detail = f"{totals['total']} is above the {most} that remain of the transaction."
        raise RequestError("adjustment_total_amount_above_remaining_allowed", detail)
    rate = transaction["details"]["tax_rates_used"][0]["tax_rate"]
    part: AdjustedAmounts = {"tax": totals["tax"], "total": totals["total"], "subtotal": totals["subtotal"]}
    return {
        "id": identifier,
        "action": action,
        "type": "full" if _is_whole(transaction, items) else "partial",
        "status": "approved",
        "reason": reason,
        "customer_id": transaction["customer_id"],
        "transaction_id": transaction["id"],
        "subscription_id": transaction["subscription_id"],
        "currency_code": transaction["currency_code"],
        "credit_applied_to_balance": None,
        "items": items,
        "totals": totals,
        "payout_totals": deepcopy(totals),
        "tax_rates_used": [{"tax_rate": rate, "totals": part}],
        "created_at": now,
        "updated_at": now,
    }


def _is_whole(transaction: Transaction, items: Sequence[AdjustmentItem]) -> bool:
    whole = {line["id"]: "full" for line in transaction["details"]["line_items"] if int(line["totals"]["total"]) > 0}
    return {item["item_id"]: item["type"] for item in items} == whole


def _item(
    state: State, transaction: Transaction, left: Mapping[str, int], line_id: str, amount: int | None
) -> AdjustmentItem:
    lines = {line["id"]: line for line in transaction["details"]["line_items"]}
    if line_id not in lines:
        raise RequestError("adjustment_transaction_item_invalid", f"{line_id} is no line of this transaction.")
    whole = int(lines[line_id]["totals"]["total"])
    amount = whole if amount is None else amount
    if amount <= 0:
        raise RequestError("adjustment_amount_cannot_be_zero", f"The amount for {line_id} must be above zero.")
    if amount > left[line_id]:
        detail = f"{amount} is above the {left[line_id]} that remain of {line_id}."
        raise RequestError("adjustment_amount_above_remaining_allowed", detail)
    return {
        "id": state.new_id("adjitm"),
        "item_id": line_id,
        "type": "full" if amount == whole else "partial",
        "amount": str(amount),
        "proration": lines[line_id]["proration"],
        "totals": money.refunded(amount, line=lines[line_id]),
    }


def _check_pending(state: State, transaction: Transaction) -> None:
    if any(row["status"] == "pending_approval" for row in of_transaction(state, transaction["id"])):
        raise RequestError("adjustment_pending_refund_request", "A refund of this transaction is pending.")


def _show_in_transaction(state: State, transaction_id: str) -> None:
    transaction = state.transactions.get(transaction_id)
    standing = [row for row in of_transaction(state, transaction_id) if row["status"] in STANDING]
    details = transaction["details"]
    details["adjusted_totals"] = money.adjusted(details["totals"], standing)
    state.emit("transaction.updated", transaction)
