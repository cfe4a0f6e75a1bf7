"""Prices of plans and credits, and the purchases made at them."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from billing.admin.columns import money_column
from billing.models import (
    PlanPrice,
    Purchase,
)
from sidekick.admin import columns
from sidekick.admin.base import OfAnAccount
from sidekick.admin.reasons import ReasonedAdmin


@admin.register(PlanPrice)
class PlanPriceAdmin(ReasonedAdmin):
    title = "Plan prices"
    list_display = ["plan", "interval", money_column("amount"), "most", "paddle_price_id"]
    list_select_related = ["plan"]

    def get_readonly_fields(self, request: HttpRequest, obj: PlanPrice | None = None) -> list[str]:
        """The purpose of a price stays: payments and purchases name it."""
        return ["plan", "interval", "currency"] if obj else []


@admin.register(Purchase)
class PurchaseAdmin(OfAnAccount):
    title = "Purchases"
    list_display = [
        "id",
        columns.account,
        "price",
        "quantity",
        money_column("amount"),
        "transaction_id",
        "created_at",
    ]
    list_select_related = ["account", "price__plan"]
    key_fields = ["transaction_id"]
    id_fields = ["id", "account_id"]
    dated_by = "created_at"
