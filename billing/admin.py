"""The admin of billing: Paddle's inbox and snapshots, prices, and payments that wait for an operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing import fulfilment, ownership
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
from billing.paddle import inbox
from billing.pages import money
from sidekick.accounts.models import User
from sidekick.admin import columns
from sidekick.admin.base import OfAnAccount, ReadOnlyAdmin
from sidekick.admin.columns import badge, column
from sidekick.admin.reasons import ReasonedAdmin, reasoned_action

# Paddle adds words without asking: those that are named nowhere are plain.
TONES = {
    "completed": "good",
    "paid": "info",
    "billed": "info",
    "active": "good",
    "trialing": "info",
    "past_due": "bad",
    "paused": "warn",
    "approved": "good",
    "pending_approval": "warn",
    "rejected": "bad",
}
STATES = {
    PaddleEvent.State.RECEIVED: "info",
    PaddleEvent.State.APPLIED: "good",
    PaddleEvent.State.FAILED: "bad",
}


def money_column(field: str, description: str = "") -> Callable[[Any], str]:
    return column(field, lambda row: money.written(getattr(row, field), row.currency), description=description)


@admin.display(description="Status", ordering="status")
def status(row: Any) -> SafeString:
    return badge(row.status, TONES.get(row.status, "plain"))


@admin.register(PlanPrice)
class PlanPriceAdmin(ReasonedAdmin):
    title = "Plan prices"
    list_display = ["plan", "interval", money_column("amount"), "most", "paddle_price_id"]
    list_select_related = ["plan"]

    def get_readonly_fields(self, request: HttpRequest, obj: PlanPrice | None = None) -> list[str]:
        """The purpose of a price stays: payments and purchases name it."""
        return ["plan", "interval", "currency"] if obj else []


@admin.register(PaddleEvent)
class PaddleEventAdmin(ReadOnlyAdmin):
    title = "Paddle events"
    list_display = [
        "event_id",
        "shown_state",
        "event_type",
        "entity_id",
        "occurred_at",
        "attempts",
        "short_error",
    ]
    list_filter = ["state", "event_type"]
    search_fields = ["=event_id"]
    key_fields = ["event_id", "entity_id"]
    dated_by = "received_at"
    actions = ["apply_again"]

    def has_apply_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.change_paddleevent")

    def get_queryset(self, request: HttpRequest) -> PaddleEventQuerySet:
        """Bodies are long, and read on the event's own page only."""
        return PaddleEvent.objects.defer("body")

    @admin.display(description="State", ordering="state")
    def shown_state(self, event: PaddleEvent) -> SafeString:
        return badge(event.state, STATES.get(PaddleEvent.State(event.state), "plain"))

    @admin.display(description="Error")
    def short_error(self, event: PaddleEvent) -> str:
        return event.error.strip().rpartition("\n")[2][:120]

    @reasoned_action(description="Apply again", permissions=["apply"])
    def apply_again(self, request: HttpRequest, queryset: PaddleEventQuerySet, reason: str) -> None:
        """In the order they happened; an event that the worker is at right now is left to it."""
        outcomes: list[str] = []
        for event_id in queryset.order_by("occurred_at").values_list("event_id", flat=True):
            event = inbox.apply_again(event_id)
            outcomes.append(event.state if event else "busy")
        told = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in dict.fromkeys(outcomes))
        level = messages.WARNING if PaddleEvent.State.FAILED in outcomes else messages.SUCCESS
        messages.add_message(request, level, f"Applied again: {told}.")


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


@admin.register(EventFeed)
class EventFeedAdmin(ReadOnlyAdmin):
    title = "Paddle event feed"
    list_display = ["name", "after", "read_at"]


class Claim(forms.ModelForm):  # type: ignore[type-arg]
    """The owner of an unclaimed payment, with the reason for thinking so."""

    belongs_to = forms.CharField(label="Belongs to", help_text="Email or id of the account.", max_length=320)

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
class WaitingPaymentAdmin(ReasonedAdmin):
    """Completed payments that gave nothing yet: of nobody we know, or for what nothing here is sold at."""

    title = "Waiting payments"
    form = Claim
    list_display = ["id", columns.account, money_column("grand_total", "Paid"), "why", "customer_id", "created_at"]
    list_filter = [("account", admin.EmptyFieldListFilter)]
    list_select_related = ["account"]
    search_fields = ["account__email"]
    key_fields = ["id", "customer_id", "subscription_id"]
    id_fields = ["account_id"]
    dated_by = "created_at"
    readonly_fields = [
        "id", "account", "why", "grand_total", "currency", "origin", "payer", "customer_id", "subscription_id",
        "line_items", "created_at",
    ]  # fmt: skip
    fields = [*readonly_fields, "belongs_to"]
    actions = ["fulfil_again", "nothing_to_give"]

    def get_queryset(self, request: HttpRequest) -> TransactionQuerySet:
        return WaitingPayment.objects.waiting()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.display(description="Waits because")
    def why(self, payment: WaitingPayment) -> str:
        return payment.held_up or ("" if payment.account_id else "Nobody we know paid it.")

    @admin.display(description="Paid by")
    def payer(self, payment: WaitingPayment) -> SafeString | str:
        """The buyer's own words are a hint, never a proof."""
        customer = Customer.objects.filter(id=payment.customer_id).first()
        custom = payment.data.get("custom_data")
        return format_html("{} · custom data {}", customer.email if customer else "unknown", str(custom))

    def save_model(self, request: HttpRequest, obj: WaitingPayment, form: Any, change: bool) -> None:
        owner = form.cleaned_data["belongs_to"]
        try:
            payment = ownership.claim(str(obj.id), owner.id)
        except ownership.NotClaimable as error:
            form.refused = str(error)
            messages.error(request, str(error))
            return
        if payment.held_up:
            messages.warning(request, f"It is theirs now, and still waits: {payment.held_up}")

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> str:  # type: ignore[override]
        refused = getattr(form, "refused", "")
        done = f"Not given ({refused})" if refused else f"Given to {form.cleaned_data['belongs_to'].id}"
        return f"{done}: {form.cleaned_data['reason']}"

    @reasoned_action(description="Try again", permissions=["change"])
    def fulfil_again(self, request: HttpRequest, queryset: TransactionQuerySet, reason: str) -> None:
        owners = set(queryset.exclude(account=None).values_list("account_id", flat=True))
        for owner in owners:
            if owner:
                fulfilment.fulfil(owner)
        messages.success(request, f"Tried again for {len(owners)} accounts.")

    @reasoned_action(description="Nothing is to be given for it", permissions=["change"])
    def nothing_to_give(self, request: HttpRequest, queryset: TransactionQuerySet, reason: str) -> None:
        for payment in queryset:
            try:
                ownership.dismiss(str(payment.id))
            except ownership.NotClaimable as error:
                messages.warning(request, str(error))
        messages.success(request, "Noted.")
