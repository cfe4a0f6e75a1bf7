"""The sums of lines, taxes, credits and fees. Whole minor units inside, strings of them in entities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from billing.simulator.schemas.adjustments import Adjustment, AdjustmentItem
from billing.simulator.schemas.amounts import (
    AdjustedAmounts,
    AdjustedTotals,
    AdjustmentTotals,
    Details,
    LineItem,
    Proration,
    Totals,
    TransactionTotals,
)
from billing.simulator.schemas.catalogue import Price, Product
from billing.simulator.schemas.times import Period, parse

# Paddle's published fee: 5 % and 50 cents.
FEE_RATE = Decimal("0.05")
FEE_FIXED = 50


@dataclass(frozen=True)
class Line:
    """One price times a quantity, which is negative where it gives money back.

    `proration` is Paddle's `{rate, billing_period}` or None; `free` lines cost nothing now (a trial, a change of card).
    """

    id: str
    price: Price
    product: Product
    quantity: int
    proration: Proration | None = None
    free: bool = False

    @property
    def unit(self) -> Decimal:
        rate = Decimal(self.proration["rate"]) if self.proration else Decimal(1)
        return Decimal(0) if self.free else int(self.price["unit_price"]["amount"]) * rate


def rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def share_left(period: Period, now: datetime) -> Decimal:
    """Returns the part of a billing period that is left, from 0 to 1 with five decimals."""
    starts, ends = parse(period["starts_at"]), parse(period["ends_at"])
    share = Decimal((ends - now) / (ends - starts)) if ends > starts else Decimal(0)
    return max(Decimal(0), min(Decimal(1), share)).quantize(Decimal("0.00001"))


def details(lines: Sequence[Line], *, tax: Decimal, currency: str, credit: int = 0) -> Details:
    """Returns a transaction's `details` before it is paid; at most `credit` of the customer's balance is used."""
    items = [_line_item(line, tax) for line in lines]
    summed = _summed(items)
    total = int(summed["total"])
    # A total below zero gives credit, and uses none.
    used = max(0, min(credit, total))
    due = str(max(0, total - used))
    totals: TransactionTotals = {
        **summed,
        "credit": str(used),
        "credit_to_balance": str(max(0, -total)),
        "balance": due,
        "grand_total": due,
        "grand_total_tax": summed["tax"] if total > 0 else "0",
        "fee": None,
        "earnings": None,
        "currency_code": currency,
    }
    return {
        "totals": totals,
        "line_items": items,
        "tax_rates_used": [{"tax_rate": _rate(tax), "totals": summed}],
        "payout_totals": None,
        "adjusted_totals": adjusted(totals, []),
        "adjusted_payout_totals": None,
    }


def close(paid: Details) -> None:
    """Complete the `details` of a paid transaction: nothing left to pay, Paddle's fee and the seller's earnings."""
    totals = paid["totals"]
    charged = int(totals["grand_total"])
    fee = rounded(charged * FEE_RATE) + FEE_FIXED if charged else 0
    earnings = charged - int(totals["grand_total_tax"]) - fee if charged else 0
    totals |= {"balance": "0", "fee": str(fee), "earnings": str(earnings)}
    paid["payout_totals"] = {**totals, "exchange_rate": "1", "fee_rate": "0"}
    paid["adjusted_totals"] = adjusted(totals, [])


def adjusted(totals: TransactionTotals, adjustments: Iterable[Adjustment]) -> AdjustedTotals:
    """Returns what adjustments leave of a transaction's totals. Reversals give back what their adjustment took."""
    taken = [
        (-1 if adjustment["action"].endswith("_reverse") else 1, adjustment["totals"]) for adjustment in adjustments
    ]
    tax = sum(sign * int(one["tax"]) for sign, one in taken)
    total = sum(sign * int(one["total"]) for sign, one in taken)
    return {
        "subtotal": str(int(totals["subtotal"]) - sum(sign * int(one["subtotal"]) for sign, one in taken)),
        "tax": str(int(totals["tax"]) - tax),
        "total": str(int(totals["total"]) - total),
        "fee": str(int(totals["fee"] or 0) - sum(sign * int(one["fee"]) for sign, one in taken)),
        "earnings": str(int(totals["earnings"] or 0) - sum(sign * int(one["earnings"]) for sign, one in taken)),
        "grand_total": str(int(totals["grand_total"]) - total),
        "grand_total_tax": str(int(totals["grand_total_tax"]) - tax),
        "retained_fee": "0",
        "currency_code": totals["currency_code"],
    }


def refunded(amount: int, *, line: LineItem) -> AdjustedAmounts:
    """Returns the totals of taking `amount`, tax included, back from a line."""
    whole, tax = int(line["totals"]["total"]), int(line["totals"]["tax"])
    # All of a line gives back all of its tax, which rounding might miss by a cent.
    part = tax if amount == whole else rounded(Decimal(amount) * tax / whole)
    return {"subtotal": str(amount - part), "tax": str(part), "total": str(amount)}


def adjustment_totals(items: Sequence[AdjustmentItem], currency: str) -> AdjustmentTotals:
    subtotal = sum(int(item["totals"]["subtotal"]) for item in items)
    total = sum(int(item["totals"]["total"]) for item in items)
    fee = rounded(total * FEE_RATE)
    return {
        "subtotal": str(subtotal),
        "tax": str(total - subtotal),
        "total": str(total),
        "fee": str(fee),
        "earnings": str(subtotal - fee),
        "retained_fee": "0",
        "currency_code": currency,
    }


def written(amount: int | str, currency: str) -> str:
    """Returns an amount as people write it: $16.43, -$3.00, 12.00 CHF."""
    cents = int(amount)
    figure = f"{abs(cents) // 100:,}.{abs(cents) % 100:02}"
    symbol = {"USD": "$", "EUR": "€", "GBP": "£"}.get(currency)
    return ("-" if cents < 0 else "") + (f"{symbol}{figure}" if symbol else f"{figure} {currency}")


def _line_item(line: Line, tax: Decimal) -> LineItem:
    included = line.price["tax_mode"] == "internal"
    return {
        "id": line.id,
        "price_id": line.price["id"],
        "quantity": line.quantity,
        "proration": line.proration,
        "tax_rate": _rate(tax),
        "unit_totals": _totals(line.unit, tax, included),
        "totals": _totals(line.unit * line.quantity, tax, included),
        "product": line.product,
    }


def _totals(amount: Decimal, tax: Decimal, included: bool) -> Totals:
    # With `internal` the price has its tax inside; otherwise tax is added to it.
    if included:
        total = rounded(amount)
        subtotal = rounded(total / (1 + tax))
    else:
        subtotal = rounded(amount)
        total = subtotal + rounded(subtotal * tax)
    return {"subtotal": str(subtotal), "discount": "0", "tax": str(total - subtotal), "total": str(total)}


def _summed(items: Sequence[LineItem]) -> Totals:
    totals = [item["totals"] for item in items]
    return {
        "subtotal": str(sum(int(one["subtotal"]) for one in totals)),
        "discount": str(sum(int(one["discount"]) for one in totals)),
        "tax": str(sum(int(one["tax"]) for one in totals)),
        "total": str(sum(int(one["total"]) for one in totals)),
    }


def _rate(tax: Decimal) -> str:
    return format(tax.normalize(), "f")
