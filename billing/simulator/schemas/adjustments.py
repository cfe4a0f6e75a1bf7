"""Adjustments: refunds, chargebacks, and what reverses them."""

from __future__ import annotations

from typing import Literal, TypedDict

from billing.simulator.schemas.amounts import AdjustedAmounts, AdjustmentTotals, Proration

Action = Literal["refund", "chargeback", "chargeback_warning", "chargeback_reverse", "chargeback_warning_reverse"]


class AdjustmentItem(TypedDict):
    id: str
    item_id: str
    type: Literal["full", "partial"]
    amount: str
    proration: Proration | None
    totals: AdjustedAmounts


class AdjustedTaxRate(TypedDict):
    tax_rate: str
    totals: AdjustedAmounts


class Adjustment(TypedDict):
    id: str
    action: Action
    type: Literal["full", "partial"]
    status: Literal["pending_approval", "approved", "rejected", "reversed"]
    reason: str
    customer_id: str
    transaction_id: str
    subscription_id: str | None
    currency_code: str
    credit_applied_to_balance: None
    items: list[AdjustmentItem]
    totals: AdjustmentTotals
    payout_totals: AdjustmentTotals
    tax_rates_used: list[AdjustedTaxRate]
    created_at: str
    updated_at: str
