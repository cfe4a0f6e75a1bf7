"""The forms with which operators move credits."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.utils import timezone

from sidekick.accounts.models import User
from sidekick.admin import reasons
from sidekick.typed_numbers import AmountField

# A slip of a digit should not give a fortune away; an operator who means more gives twice.
MOST_AT_ONCE = Decimal(10_000)


class Amount(AmountField):
    """An amount of credits that an operator types."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=20, decimal_places=6, min_value=Decimal("0.000001"), **kwargs)


class MoveForm(forms.Form):
    """Credits to take back or to restore. The token makes a form that is sent twice one move."""

    token = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    amount = Amount(label="Credits")
    reason = reasons.Reason()


class CourtesyForm(MoveForm):
    account = forms.CharField(max_length=320, help_text="Email or id.")
    amount = Amount(label="Credits", max_value=MOST_AT_ONCE, help_text=f"Up to {MOST_AT_ONCE:,} at once.")
    expires_at = forms.DateTimeField(
        required=False,
        label="Expires",
        help_text="In UTC; empty: never.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
    )
    field_order = ["token", "account", "amount", "expires_at", "reason"]

    def clean_account(self) -> User:
        account = User.objects.named(self.cleaned_data["account"].strip())
        if account is None:
            raise forms.ValidationError("No account has this email or id.")
        return account

    def clean_expires_at(self) -> datetime | None:
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        if expires_at and expires_at <= timezone.now():
            raise forms.ValidationError("This has to be in the future.")
        return expires_at
