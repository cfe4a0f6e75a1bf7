"""Columns of the operators' lists, and links from a row to its account."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString


@admin.display(description="Account", ordering="account__email")
def account(row: Any) -> SafeString | str:
    """A column that leads from a row to its account and to what happened to it; needs `list_select_related`."""
    if row.account_id is None:
        return "–"
    return account_links(row.account_id, row.account.email)


def account_links(account_id: uuid.UUID, email: str) -> SafeString:
    return format_html(
        '<a href="{}">{}</a> <a class="aside" href="{}">timeline</a>',
        address_of(account_id),
        email,
        timeline_of(account_id),
    )


def address_of(account_id: uuid.UUID) -> str:
    return reverse("admin:accounts_user_change", args=[account_id])


def timeline_of(account_id: uuid.UUID) -> str:
    return reverse("admin:accounts_user_timeline", args=[account_id])


def column(field: str, written: Callable[[Any], str], *, description: str = "") -> Callable[[Any], str]:
    """A column of numbers: `written` makes a row's value a string; it stands right (`admin.css` knows the names)."""

    @admin.display(description=description or field.replace("_", " ").capitalize(), ordering=field)
    def show(row: Any) -> str:
        return written(row)

    show.__name__ = field
    return show


def badge(words: str, tone: str = "plain") -> SafeString:
    """A state as a coloured word; tones are plain, good, warn, bad and info."""
    return format_html('<span class="badge {}">{}</span>', tone, words)
