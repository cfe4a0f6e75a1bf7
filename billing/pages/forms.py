"""The forms for buying."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings

from billing.models import PlanPrice
from billing.pages import money


def token_of(data: Mapping[str, Any]) -> uuid.UUID:
    """Returns the form's token, so that sending it twice is one purchase; a new one where it has none."""
    try:
        return uuid.UUID(str(data.get("token", "")))
    except ValueError:
        return uuid.uuid4()


class QuantityField(forms.IntegerField):
    def to_python(self, value: Any) -> int | None:
        # Django would also take "７" and "7.0", and guess about the rest.
        digits = str(value or "").strip()
        if digits and not (digits.isascii() and digits.isdecimal()):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(digits)


class CreditsForm(forms.Form):
    """The number of additional credits. The price comes from the server alone (B4)."""

    quantity = QuantityField(label="Credits")

    def __init__(self, price: PlanPrice, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, initial={"quantity": min(100, price.most)}, auto_id="credits_%s")
        self.price = price
        self.token = token_of(data or {})
        # The least is not the field's minimum: a smaller number gets a reason, not the browser's refusal (B4).
        field = self.fields["quantity"]
        words = f"Choose a whole number from {price.least} to {price.most}."
        field.error_messages = {"required": words, "invalid": words}
        field.widget.attrs |= {"min": 1, "max": price.most, "step": 1, "inputmode": "numeric", "autocomplete": "off"}
        field.widget.attrs |= {"aria-describedby": "credits_least", "data-slider-number": True}

    def full_clean(self) -> None:
        super().full_clean()
        if self.errors:
            # The next step is to correct the number.
            self.fields["quantity"].widget.attrs["autofocus"] = True

    def clean_quantity(self) -> int:
        quantity: int = self.cleaned_data["quantity"]
        if not 1 <= quantity <= self.price.most:
            raise forms.ValidationError(f"Choose between {self.price.least} and {self.price.most} credits.")
        if quantity < self.price.least:
            raise forms.ValidationError(self.too_few)
        return quantity

    @property
    def too_few(self) -> str:
        """Why fewer than `price.least` can't be bought (B4)."""
        least = money.written(settings.PADDLE_MINIMUM_CHARGE, self.price.currency)
        return f"Paddle doesn’t charge less than {least}: choose {self.price.least} credits or more."

    @property
    def chosen(self) -> int:
        """The number that the slider and the total start with."""
        try:
            return min(max(int(self["quantity"].value() or 1), 1), self.price.most)
        except ValueError:
            return 1

    @property
    def total(self) -> str:
        return money.written(self.price.amount * self.chosen, self.price.currency)
