"""Completed payments that gave nothing yet: an operator claims, retries or dismisses them (B10)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing import fulfilment, ownership
from billing.admin.columns import money_column
from billing.models import (
    Customer,
    TransactionQuerySet,
    WaitingPayment,
)
from sidekick.accounts.models import User
from sidekick.admin import columns
from sidekick.admin.reasons import ReasonedAdmin, reasoned_action


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
