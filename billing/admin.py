"""What operators see of Paddle: the inbox, the newest that we know of its things, and payments that wait for them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing import claims, effects, events
from billing.claims import NotClaimable
from billing.models import (
    Adjustment,
    Customer,
    EventFeed,
    PaddleEvent,
    PaddleEventQuerySet,
    PlanPrice,
    Purchase,
    Subscription,
    Transaction,
    TransactionQuerySet,
    WaitingPayment,
)
from credits.admin import History
from sidekick.accounts.models import User


@admin.register(PlanPrice)
class PlanPriceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["plan", "interval", "amount", "currency", "most", "paddle_price_id"]
    list_select_related = ["plan"]

    def has_delete_permission(self, request: HttpRequest, obj: PlanPrice | None = None) -> bool:
        return False


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


class OfAnAccount(History):
    """Rows that name the account they belong to."""

    list_select_related = ["account"]


@admin.register(Customer)
class CustomerAdmin(OfAnAccount):
    list_display = ["id", "account", "email", "status", "snapshot_at"]
    search_fields = ["id", "email", "account__email", "=account__id"]


@admin.register(Subscription)
class SubscriptionAdmin(OfAnAccount):
    list_display = ["id", "account", "status", "price_id", "period_ends_at", "change_action", "change_at"]
    list_filter = ["status", "change_action", ("account", admin.EmptyFieldListFilter)]
    search_fields = ["id", "customer_id", "account__email", "=account__id"]


@admin.register(Transaction)
class TransactionAdmin(OfAnAccount):
    list_display = ["id", "account", "status", "origin", "grand_total", "currency", "settled_at", "created_at"]
    list_filter = ["status", "origin"]
    search_fields = ["id", "customer_id", "subscription_id", "invoice_number", "account__email", "=account__id"]
    date_hierarchy = "created_at"


@admin.register(Adjustment)
class AdjustmentAdmin(History):
    list_display = ["id", "action", "status", "total", "currency", "transaction_id", "created_at"]
    list_filter = ["action", "status"]
    search_fields = ["id", "transaction_id", "customer_id", "subscription_id"]
    date_hierarchy = "created_at"


@admin.register(Purchase)
class PurchaseAdmin(OfAnAccount):
    list_display = ["id", "account", "price", "quantity", "amount", "currency", "transaction_id", "created_at"]
    list_select_related = ["account", "price__plan"]
    search_fields = ["=id", "transaction_id", "account__email", "=account__id"]
    date_hierarchy = "created_at"


@admin.register(EventFeed)
class EventFeedAdmin(History):
    list_display = ["name", "after", "read_at"]


class Claim(forms.ModelForm):  # type: ignore[type-arg]
    """Whose a payment is, and why we think so."""

    belongs_to = forms.CharField(label="Belongs to", help_text="Email or id of the account.", max_length=320)
    reason = forms.CharField(help_text="How you know; it stands in the log.", max_length=300)

    class Meta:
        model = WaitingPayment
        fields: list[str] = []

    def clean_belongs_to(self) -> User:
        owner = User.objects.named(self.cleaned_data["belongs_to"].strip())
        if owner is None:
            raise forms.ValidationError("No account has this email or id.")
        if self.instance.account_id:
            raise forms.ValidationError("This payment has an owner already.")
        return owner


@admin.register(WaitingPayment)
class WaitingPaymentAdmin(History):
    """Completed payments that gave nothing yet: of nobody we know, or for what nothing here is sold at."""

    form = Claim
    list_display = ["id", "account", "grand_total", "currency", "why", "customer_id", "created_at"]
    list_filter = [("account", admin.EmptyFieldListFilter)]
    list_select_related = ["account"]
    search_fields = ["id", "customer_id", "subscription_id", "account__email", "=account__id"]
    date_hierarchy = "created_at"
    readonly_fields = [
        "id", "account", "why", "grand_total", "currency", "origin", "payer", "customer_id", "subscription_id",
        "line_items", "created_at",
    ]  # fmt: skip
    fields = [*readonly_fields, "belongs_to", "reason"]
    actions = ["settle_again", "nothing_to_give"]

    def get_queryset(self, request: HttpRequest) -> TransactionQuerySet:
        return WaitingPayment.objects.waiting()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("billing.change_waitingpayment")

    @admin.display(description="Waits because")
    def why(self, payment: WaitingPayment) -> str:
        return payment.held_up or ("" if payment.account_id else "Nobody we know paid it.")

    @admin.display(description="Paid by")
    def payer(self, payment: WaitingPayment) -> SafeString | str:
        """What the buyer typed is a hint, never a proof."""
        customer = Customer.objects.filter(id=payment.customer_id).first()
        custom = payment.data.get("custom_data")
        return format_html("{} · custom data {}", customer.email if customer else "unknown", str(custom))

    def save_model(self, request: HttpRequest, obj: WaitingPayment, form: Any, change: bool) -> None:
        owner = form.cleaned_data["belongs_to"]
        try:
            payment = claims.claim(str(obj.id), owner.id)
        except NotClaimable as error:
            messages.error(request, str(error))
            return
        if payment.held_up:
            messages.warning(request, f"It is theirs now, and still waits: {payment.held_up}")

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Who and why, in the log."""
        return f"Given to {form.cleaned_data['belongs_to'].id}: {form.cleaned_data['reason']}"

    @admin.action(description="Try again", permissions=["change"])
    def settle_again(self, request: HttpRequest, queryset: TransactionQuerySet) -> None:
        owners = set(queryset.exclude(account=None).values_list("account_id", flat=True))
        for owner in owners:
            if owner:
                effects.settle(owner)
        messages.success(request, f"Tried again for {len(owners)} accounts.")

    @admin.action(description="Nothing is to be given for it", permissions=["change"])
    def nothing_to_give(self, request: HttpRequest, queryset: TransactionQuerySet) -> None:
        for payment in queryset:
            try:
                claims.dismiss(str(payment.id))
            except NotClaimable as error:
                messages.warning(request, str(error))
                continue
            self.log_change(request, payment, "Nothing is to be given for it.")
        messages.success(request, "Noted.")
