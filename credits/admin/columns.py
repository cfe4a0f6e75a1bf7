"""Amounts of credits as columns of the operators' lists."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from sidekick import formatting
from sidekick.admin.columns import column


def credit_column(field: str, description: str = "") -> Callable[[Any], str]:
    return column(field, lambda row: _short(getattr(row, field)), description=description)


def _short(amount: Decimal) -> SafeString:
    # Two decimals, so that columns align; all of them on hover and on the row's own page.
    return format_html('<span title="{}">{}</span>', formatting.exact(amount), formatting.credits(amount))
