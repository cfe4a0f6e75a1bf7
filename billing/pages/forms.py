"""The forms for buying."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings

from billing.models import PlanPrice
from billing.pages import money
from sidekick.typed_numbers import WHOLE, WholeNumberField, whole_number


def token_of(data: Mapping[str, Any]) -> uuid.UUID:
    """Returns the form's token, so that sending it twice is one purchase; a new one where it has none."""
    try:
        return uuid.UUID(str(data.get("token", "")))
    except ValueError:
        return uuid.uuid4()


class CreditsForm(forms.Form):
    """The number of additional credits. The price comes from the server alone (B4)."""

    # A text field: a number field would read 1e2 as 100, and say nothing of `1,000`.
    quantity = WholeNumberField(label="Credits", widget=forms.TextInput)
    # The price of one credit that the page showed. It is only compared, never charged.
    unit = forms.CharField(required=False)

    def __init__(self, price: PlanPrice, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, initial={"quantity": min(100, price.most)}, auto_id="credits_%s")
        self.price = price
        self.token = token_of(data or {})
        field = self.fields["quantity"]
        field.error_messages = {"required": self.wrong, "invalid": self.wrong}
        field.widget.attrs |= {"pattern": WHOLE, "inputmode": "numeric", "autocomplete": "off"}
        field.widget.attrs |= {"aria-describedby": "credits_least", "data-slider-number": True}

    def full_clean(self) -> None:
        super().full_clean()
        if "quantity" in self.errors:
            # The next step is to correct the number.
            self.fields["quantity"].widget.attrs["autofocus"] = True

    def clean_quantity(self) -> int:
        quantity: int = self.cleaned_data["quantity"]
        if not 1 <= quantity <= self.price.most:
            raise forms.ValidationError(self.wrong)
        if quantity < self.price.least:
            raise forms.ValidationError(self.too_few)
        return quantity

    def clean_unit(self) -> None:
        shown = self.cleaned_data["unit"]
        if shown and shown != str(self.price.amount):
            raise forms.ValidationError(f"A credit costs {self.price} now. Check the total, then purchase again.")

    @property
    def wrong(self) -> str:
        """The sentence about everything that is no number of credits."""
        return f"Choose a whole number from {self.price.least} to {self.price.most}, in plain digits."

    @property
    def too_few(self) -> str:
        """Why fewer than `price.least` can't be bought (B4)."""
        least = money.written(settings.PADDLE_MINIMUM_CHARGE, self.price.currency)
        return f"Paddle doesn’t charge less than {least}: choose {self.price.least} credits or more."

    @property
    def chosen(self) -> int:
        """The number that the slider starts with."""
        typed = whole_number(str(self["quantity"].value() or ""))
        return min(max(typed or 1, 1), self.price.most)

    @property
    def total(self) -> str:
        """The price of the number in the field, or a dash where it can't be bought."""
        return "–" if "quantity" in self.errors else money.written(self.price.amount * self.chosen, self.price.currency)
