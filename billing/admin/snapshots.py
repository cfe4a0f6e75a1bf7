"""Paddle's customers, subscriptions, payments and refunds, to be read."""

from __future__ import annotations

from django.contrib import admin

from billing.admin.columns import money_column, status
from billing.models import (
    Adjustment,
    Customer,
    Subscription,
    Transaction,
)
from sidekick.admin import columns
from sidekick.admin.base import OfAnAccount, ReadOnlyAdmin


@admin.register(Customer)
class CustomerAdmin(OfAnAccount):
    title = "Paddle customers"
    list_display = ["id", columns.account, "email", status, "snapshot_at"]
    search_fields = ["email", "account__email"]
    key_fields = ["id"]


@admin.register(Subscription)
class SubscriptionAdmin(OfAnAccount):
    title = "Subscriptions"
    list_display = [
        "id",
        columns.account,
        status,
        "price_id",
        "period_ends_at",
        "change_action",
        "change_at",
    ]
    list_filter = ["status", "change_action", ("account", admin.EmptyFieldListFilter)]
    key_fields = ["id", "customer_id"]


@admin.register(Transaction)
class TransactionAdmin(OfAnAccount):
    title = "Payments"
    list_display = [
        "id",
        columns.account,
        status,
        "origin",
        money_column("grand_total", "Paid"),
        "settled_at",
        "created_at",
    ]
    list_filter = ["status", "origin"]
    search_fields = ["=invoice_number", "account__email"]
    key_fields = ["id", "customer_id", "subscription_id"]
    dated_by = "created_at"


@admin.register(Adjustment)
class AdjustmentAdmin(ReadOnlyAdmin):
    title = "Refunds and chargebacks"
    list_display = ["id", "action", status, money_column("total"), "transaction_id", "created_at"]
    list_filter = ["action", "status"]
    search_fields = ["=id"]
    key_fields = ["id", "transaction_id", "customer_id", "subscription_id"]
    dated_by = "created_at"
