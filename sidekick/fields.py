"""Form fields for what people type, in pages and in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from sidekick.email_addresses import normalised
from sidekick.text import trimmed


class TrimmedField(forms.CharField):
    """Words, or "" where nothing of them can be seen: a required field then asks for them."""

    def to_python(self, value: Any) -> str:
        return trimmed(super().to_python(value) or "")


class EmailField(forms.CharField):
    """An email address as a person types it; its value is `normalised`.

    Not of type "email": browsers refuse invisible characters in it, and say only that the address is wrong.
    """

    def __init__(self, *, autocomplete: str = "email", **kwargs: Any) -> None:
        attrs = {
            "inputmode": "email",
            "autocomplete": autocomplete,
            "autocapitalize": "none",
            "autocorrect": "off",
            "spellcheck": "false",
        }
        super().__init__(**{"label": "Email", "widget": forms.TextInput(attrs=attrs), **kwargs})

    def clean(self, value: Any) -> str:
        typed = trimmed(super().clean(value))
        # An address of invisible characters is missing, not wrong.
        if not typed and self.required:
            raise ValidationError(self.error_messages["required"], code="required")
        return normalised(typed) if typed else ""
