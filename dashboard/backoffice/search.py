"""Where an id or an email leads an operator. Each look is one row by a unique index."""

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

PADDLES: dict[str, type[Model]] = {
    "txn": Transaction,
    "sub": Subscription,
    "ctm": Customer,
    "adj": Adjustment,
    "evt": PaddleEvent,
}
OURS: tuple[type[Model], ...] = (User, DeviceSession, Purchase, Letter, Report)


def find(wanted: str, request: HttpRequest) -> str | None:
    """The address of the page, None where nothing has this id or email, or this operator may not see it."""
    return next(filter(None, (_page(row, request) for row in _rows(wanted))), None)


def _rows(wanted: str) -> list[Model]:
    """What has this email, one of our ids or Paddle's, a report's reference, or the key of a grant."""
    if "@" in wanted:
        return _first(User.objects.filter(email=wanted.lower()))
    theirs = PADDLES.get(wanted.partition("_")[0])
    if theirs:
        return _first(theirs._default_manager.filter(pk=wanted))
    number = kinds.number_in(wanted)
    if number is not None:
        return _first(Report.objects.filter(number=number))
    try:
        ours = uuid.UUID(wanted)
    except ValueError:
        return _first(Grant.objects.filter(source_key=wanted))
    return [row for table in OURS for row in _first(table._default_manager.filter(id=ours))]


def _first(rows: QuerySet[Any]) -> list[Any]:
    return list(rows[:1])


def _page(row: Model, request: HttpRequest) -> str | None:
    desk = admin.site._registry.get(type(row))
    if desk is None or not desk.has_view_or_change_permission(request, row):
        return None
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[quote(row.pk)])
