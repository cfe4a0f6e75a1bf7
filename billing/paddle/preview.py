"""Paddle's preview of a change of plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from billing.paddle.errors import PaddleFault
from billing.paddle.schemas import moment


@dataclass(frozen=True)
class Preview:
    """All in Paddle's figures: whole minor units of `currency`, never negative. Its credit is money, not Sidekick's."""

    action: str  # At once: "charge", "credit" (to the customer's balance at Paddle) or "nothing".
    amount: int  # Of that action, with tax.
    tax: int  # In the amount of a charge.
    currency: str
    next_amount: int | None  # Of the next bill, with tax, and when it comes.
    next_at: datetime | None


def read(data: dict[str, Any], *, mode: str) -> Preview:
    """The preview in Paddle's answer, where `mode` is the proration_billing_mode that was asked about.

    Raises `PaddleFault` (`broken`) when an amount is due at once and the answer doesn't say how much: nobody may be
    told that nothing is charged when we don't know.
    """
    totals = at(data, "immediate_transaction", "details", "totals")
    action, amount = _at_once(totals, at(data, "update_summary", "result")) if "immediately" in mode else ("nothing", 0)
    upcoming = at(data, "next_transaction", "details", "totals") or at(data, "recurring_transaction_details", "totals")
    next_at = data.get("next_billed_at") or at(data, "next_transaction", "billing_period", "starts_at")
    return Preview(
        action=action,
        amount=amount,
        tax=(_minor(at(totals, "tax")) or 0) if action == "charge" else 0,
        currency=str(at(data, "update_summary", "result", "currency_code") or data.get("currency_code") or ""),
        next_amount=_minor(at(upcoming, "grand_total")),
        next_at=moment(next_at) if next_at else None,
    )


def at(value: object, *path: str) -> Any:
    """Returns the value at the end of this path, or None where the path ends earlier."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _at_once(totals: object, result: object) -> tuple[str, int]:
    """`result.amount` has no sign, its action says which way it goes. A charge is what the card pays: the grand total,
    from which Paddle has taken what stood in the customer's balance."""
    action, summed, due = at(result, "action"), _minor(at(result, "amount")), _minor(at(totals, "grand_total"))
    if action == "credit" and summed is not None:
        return ("credit", summed) if summed else ("nothing", 0)
    charged = summed if due is None and action == "charge" else due
    if charged is None:
        raise PaddleFault("broken")
    return ("charge", charged) if charged > 0 else ("nothing", 0)


def _minor(amount: object) -> int | None:
    """Amounts are strings of whole minor units."""
    return int(amount) if isinstance(amount, str) and amount.removeprefix("-").isdecimal() else None
