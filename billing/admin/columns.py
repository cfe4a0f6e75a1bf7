"""Columns that several lists of billing share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString

from billing.pages import money
from sidekick.admin.columns import badge, column

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


def money_column(field: str, description: str = "") -> Callable[[Any], str]:
    return column(field, lambda row: money.written(getattr(row, field), row.currency), description=description)


@admin.display(description="Status", ordering="status")
def status(row: Any) -> SafeString:
    return badge(row.status, TONES.get(row.status, "plain"))
