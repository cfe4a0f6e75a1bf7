"""Totals, as transactions and adjustments carry them: strings of minor units, and of None before they are known."""

from __future__ import annotations

from typing import TypedDict

from billing.simulator.schemas.catalogue import Product
from billing.simulator.schemas.times import Period


class Totals(TypedDict):
    subtotal: str
    discount: str
    tax: str
    total: str


class TransactionTotals(Totals):
    """Totals with the customer's credit used. `fee` and `earnings` are known once the transaction is completed."""

    credit: str
    credit_to_balance: str
    balance: str
    grand_total: str
    grand_total_tax: str
    fee: str | None
    earnings: str | None
    currency_code: str


class PayoutTotals(TransactionTotals):
    exchange_rate: str
    fee_rate: str


class AdjustedTotals(TypedDict):
    """The rest that adjustments leave of a transaction's totals."""

    subtotal: str
    tax: str
    total: str
    fee: str
    earnings: str
    grand_total: str
    grand_total_tax: str
    retained_fee: str
    currency_code: str


class TaxRate(TypedDict):
    tax_rate: str
    totals: Totals


class Proration(TypedDict):
    """The share of a price that is charged, and the part of the period it stands for."""

    rate: str
    billing_period: Period


class PreviewedLine(TypedDict):
    price_id: str
    quantity: int
    proration: Proration | None
    tax_rate: str
    unit_totals: Totals
    totals: Totals
    product: Product


class LineItem(PreviewedLine):
    id: str


class Details(TypedDict):
    totals: TransactionTotals
    line_items: list[LineItem]
    tax_rates_used: list[TaxRate]
    payout_totals: PayoutTotals | None
    adjusted_totals: AdjustedTotals
    adjusted_payout_totals: None


class PreviewedDetails(TypedDict):
    tax_rates_used: list[TaxRate]
    totals: TransactionTotals
    line_items: list[PreviewedLine]


class AdjustedAmounts(TypedDict):
    """The amounts that an adjustment takes from a line, or from all of them."""

    subtotal: str
    tax: str
    total: str


class AdjustmentTotals(AdjustedAmounts):
    fee: str
    earnings: str
    retained_fee: str
    currency_code: str
