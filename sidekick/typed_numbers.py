"""Numbers as people type them: one rule for pages, addresses, operators' forms and the browser.

Only ASCII digits count. `1e2`, `+7`, `1_000` and digits of other scripts are refused although Python reads them.
So are `1,000` and `1.000`: a thousand to some readers, one to others.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from django import forms

# The browser's rule too, as the `pattern` of a field, so both languages must read the expressions alike.
WHOLE = r"[ \t\xa0]*[0-9]{1,12}[ \t\xa0]*"
AMOUNT = r"[ \t\xa0]*[0-9]{1,20}([.][0-9]{1,20})?[ \t\xa0]*"


def whole_number(text: str) -> int | None:
    """Returns the number, or None for anything else."""
    return int(text) if re.fullmatch(WHOLE, text) else None


class WholeNumberField(forms.IntegerField):
    """A whole number from 0 up."""

    def to_python(self, value: Any) -> int | None:
        if value in self.empty_values:
            return None
        number = whole_number(str(value))
        if number is None:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return number


class AmountField(forms.DecimalField):
    """A number from 0 up, with a point before its decimals."""

    default_error_messages = {"invalid": "Write digits alone, with a point before decimals: 1250 or 0.5."}

    def to_python(self, value: Any) -> Decimal | None:  # type: ignore[override]
        if value not in self.empty_values and not re.fullmatch(AMOUNT, str(value)):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(value)
