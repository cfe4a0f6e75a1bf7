"""Rows that belong to a report, shown below it, and filters of the list by them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Exists, Model, OuterRef, QuerySet
from django.http import HttpRequest

from feedback.models import Delivery, ReportChange


class ReadOnlyRows(admin.TabularInline):  # type: ignore[type-arg]
    """Rows for operators who may read the report; they need no permission for the rows' own table."""

    extra = 0
    can_delete = False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class Changes(ReadOnlyRows):
    model = ReportChange
    verbose_name_plural = "history"
    fields = ["created_at", "was", "status", "reply", "by", "reason"]


class Deliveries(ReadOnlyRows):
    model = Delivery
    fields = ["change", "attempts", "delivered_at", "error"]


class WithImages(admin.SimpleListFilter):
    """Needs the annotation `has_images`."""

    title = "images"
    parameter_name = "images"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "With images"), ("no", "Without images")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(has_images=self.value() == "yes") if self.value() else queryset


class Forwarding(admin.SimpleListFilter):
    """Reports with changes that the team's webhook has not taken yet."""

    title = "forwarding"
    parameter_name = "forwarding"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("waits", "Not delivered yet"), ("failed", "Failed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        missing = Delivery.objects.filter(report=OuterRef("pk"), delivered_at=None)
        if self.value() == "failed":
            missing = missing.exclude(error="")
        return queryset.filter(Exists(missing)) if self.value() else queryset
