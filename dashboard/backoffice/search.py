"""Finds the page of the row with a given id, email or reference. Each look-up is by a unique index (O1)."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from billing.models import Adjustment, Customer, PaddleEvent, Purchase, Subscription, Transaction
from credits.models import Grant
from feedback import kinds
from feedback.models import Report
from sidekick.accounts.models import DeviceSession, Letter, User

PADDLE_TABLES: dict[str, type[Model]] = {
    "txn": Transaction,
    "sub": Subscription,
    "ctm": Customer,
    "adj": Adjustment,
    "evt": PaddleEvent,
}
OUR_TABLES: tuple[type[Model], ...] = (User, DeviceSession, Purchase, Letter, Report)


def page_of(wanted: str, request: HttpRequest) -> str | None:
    """Returns the URL of the row's page; None where there is no such row, or this operator may not see it."""
    return next(filter(None, (_url(row, request) for row in _rows(wanted))), None)


def _rows(wanted: str) -> list[Model]:
    """Rows with this email, id of ours, id of Paddle's, reference of a report, or source key of a grant."""
    if "@" in wanted:
        return _first(User.objects.with_email(wanted))
    by_prefix = PADDLE_TABLES.get(wanted.partition("_")[0])
    if by_prefix:
        return _first(by_prefix._default_manager.filter(pk=wanted))
    number = kinds.number_in(wanted)
    if number is not None:
        return _first(Report.objects.filter(number=number))
    try:
        our_id = uuid.UUID(wanted)
    except ValueError:
        return _first(Grant.objects.filter(source_key=wanted))
    return [row for table in OUR_TABLES for row in _first(table._default_manager.filter(id=our_id))]


def _first(rows: QuerySet[Any]) -> list[Any]:
    return list(rows[:1])


def _url(row: Model, request: HttpRequest) -> str | None:
    registered = admin.site._registry.get(type(row))
    if registered is None or not registered.has_view_or_change_permission(request, row):
        return None
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[quote(row.pk)])
