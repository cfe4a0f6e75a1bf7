"""Amounts: what lines, taxes, credits and fees add up to. Whole minor units inside, strings of them in entities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from billing.simulator.schemas import Entity, moment_of

FEE_RATE = Decimal("0.05")
FEE_FIXED = 50


@dataclass(frozen=True)
class Line:
    """One price times a quantity, which is negative where it gives money back.

    `proration` is Paddle's `{rate, billing_period}` or None; `free` lines cost nothing now (a trial, a change of card).
    """

    id: str
    price: Entity
    product: Entity
    quantity: int
    proration: Entity | None = None
    free: bool = False

    @property
    def unit(self) -> Decimal:
        rate = Decimal(self.proration["rate"]) if self.proration else Decimal(1)
        return Decimal(0) if self.free else int(self.price["unit_price"]["amount"]) * rate


def rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def share_left(period: Entity, now: datetime) -> Decimal:
    """What part of a billing period is left, with five decimals."""
    starts, ends = moment_of(period["starts_at"]), moment_of(period["ends_at"])
    share = Decimal((ends - now) / (ends - starts)) if ends > starts else Decimal(0)
    return max(Decimal(0), min(Decimal(1), share)).quantize(Decimal("0.00001"))


def details(lines: Sequence[Line], *, tax: Decimal, currency: str, credit: int = 0) -> Entity:
    """A transaction's `details` before it is paid; at most `credit` of the customer's balance is used."""
    items = [_line_item(line, tax) for line in lines]
    summed = _summed(item["totals"] for item in items)
    total = int(summed["total"])
    used = max(0, min(credit, total))
    due = str(max(0, total - used))
    totals = summed | {
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


def close(paid: Entity) -> None:
    """What a completed transaction's `details` say in addition: nothing left to pay, Paddle's fee and our earnings."""
    totals = paid["totals"]
    charged = int(totals["grand_total"])
    fee = rounded(charged * FEE_RATE) + FEE_FIXED if charged else 0
    earnings = charged - int(totals["grand_total_tax"]) - fee if charged else 0
    totals |= {"balance": "0", "fee": str(fee), "earnings": str(earnings)}
    paid["payout_totals"] = totals | {"exchange_rate": "1", "fee_rate": "0"}
    paid["adjusted_totals"] = adjusted(totals, [])


def adjusted(totals: Entity, adjustments: Iterable[Entity]) -> Entity:
    """`adjusted_totals`: what is left of a transaction's totals. Reversals give back what their adjustment took."""
    names = ("subtotal", "tax", "total", "fee", "earnings")
    left = {name: int(totals[name] or 0) for name in names}
    for adjustment in adjustments:
        sign = 1 if adjustment["action"].endswith("_reverse") else -1
        for name in names:
            left[name] += sign * int(adjustment["totals"][name])
    taken = int(totals["total"]) - left["total"]
    return {name: str(amount) for name, amount in left.items()} | {
        "grand_total": str(int(totals["grand_total"]) - taken),
        "grand_total_tax": str(int(totals["grand_total_tax"]) - (int(totals["tax"]) - left["tax"])),
        "retained_fee": "0",
        "currency_code": totals["currency_code"],
    }


def refunded(amount: int, *, line: Entity) -> Entity:
    """The totals of taking `amount`, tax included, back from a line."""
    whole, tax = int(line["totals"]["total"]), int(line["totals"]["tax"])
    part = tax if amount == whole else rounded(Decimal(amount) * tax / whole)
    return {"subtotal": str(amount - part), "tax": str(part), "total": str(amount)}


def adjustment_totals(items: Iterable[Entity], currency: str) -> Entity:
    summed = {name: sum(int(item["totals"][name]) for item in items) for name in ("subtotal", "tax", "total")}
    fee = rounded(summed["total"] * FEE_RATE)
    return {name: str(amount) for name, amount in summed.items()} | {
        "fee": str(fee),
        "earnings": str(summed["subtotal"] - fee),
        "retained_fee": "0",
        "currency_code": currency,
    }


def written(amount: int | str, currency: str) -> str:
    """As people write it: $16.43, -$3.00, 12.00 CHF."""
    cents = int(amount)
    figure = f"{abs(cents) // 100:,}.{abs(cents) % 100:02}"
    symbol = {"USD": "$", "EUR": "€", "GBP": "£"}.get(currency)
    return ("-" if cents < 0 else "") + (f"{symbol}{figure}" if symbol else f"{figure} {currency}")


def _line_item(line: Line, tax: Decimal) -> Entity:
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


def _totals(amount: Decimal, tax: Decimal, included: bool) -> Entity:
    if included:
        total = rounded(amount)
        subtotal = rounded(total / (1 + tax))
    else:
        subtotal = rounded(amount)
        total = subtotal + rounded(subtotal * tax)
    return {"subtotal": str(subtotal), "discount": "0", "tax": str(total - subtotal), "total": str(total)}


def _summed(totals: Iterable[Entity]) -> Entity:
    every = list(totals)
    return {name: str(sum(int(one[name]) for one in every)) for name in ("subtotal", "discount", "tax", "total")}


def _rate(tax: Decimal) -> str:
    return format(tax.normalize(), "f")
