"""What operators see of Paddle: the inbox and the newest that we know of its things. Read, and try again."""

from __future__ import annotations

from django.contrib import admin, messages
from django.http import HttpRequest

from billing import events
from billing.models import Adjustment, PaddleEvent, PaddleEventQuerySet, Subscription, Transaction
from credits.admin import History


@admin.register(PaddleEvent)
class PaddleEventAdmin(History):
    list_display = ["event_id", "event_type", "entity_id", "occurred_at", "state", "attempts", "due_at", "error"]
    list_filter = ["state", "event_type"]
    search_fields = ["=event_id", "=entity_id"]
    date_hierarchy = "received_at"
    actions = ["apply_again"]

    def has_apply_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.change_paddleevent")

    @admin.action(description="Apply again", permissions=["apply"])
    def apply_again(self, request: HttpRequest, queryset: PaddleEventQuerySet) -> None:
        """In the order they happened; an event that the worker is at right now is left to it."""
        outcomes: list[str] = []
        for event_id in queryset.order_by("occurred_at").values_list("event_id", flat=True):
            event = events.apply_again(event_id)
            outcomes.append(event.state if event else "busy")
            if event:
                self.log_change(request, event, f"Applied again: {event.state}.")
        told = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in dict.fromkeys(outcomes))
        level = messages.WARNING if PaddleEvent.State.FAILED in outcomes else messages.SUCCESS
        messages.add_message(request, level, f"Applied again: {told}.")


@admin.register(Subscription)
class SubscriptionAdmin(History):
    list_display = ["id", "customer_id", "status", "price_id", "period_ends_at", "change_action", "change_at"]
    list_filter = ["status", "change_action"]
    search_fields = ["id", "customer_id"]


@admin.register(Transaction)
class TransactionAdmin(History):
    list_display = ["id", "status", "origin", "grand_total", "currency", "customer_id", "subscription_id", "created_at"]
    list_filter = ["status", "origin"]
    search_fields = ["id", "customer_id", "subscription_id", "invoice_number"]
    date_hierarchy = "created_at"


@admin.register(Adjustment)
class AdjustmentAdmin(History):
    list_display = ["id", "action", "status", "total", "currency", "transaction_id", "created_at"]
    list_filter = ["action", "status"]
    search_fields = ["id", "transaction_id", "customer_id", "subscription_id"]
    date_hierarchy = "created_at"
