"""What operators see of credits. History is read-only: it changes by new entries, never by edits."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from credits.models import AIModel, CreditPeriod, Grant, LedgerEntry, ModelPrice, Plan, Wallet


class History(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that operators read."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Plan)
class PlanAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name", "slug", "monthly_credits", "rollover_percent", "may_buy_credits"]

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> list[str]:
        return ["slug"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Wallet)
class WalletAdmin(History):
    list_display = ["account", "held", "debt", "due_at"]
    search_fields = ["account__email", "account__id"]
    list_select_related = ["account"]


@admin.register(CreditPeriod)
class CreditPeriodAdmin(History):
    list_display = ["account", "plan", "starts_at", "ends_at", "allocation", "rollover", "used", "closed_at"]
    list_filter = ["plan", ("closed_at", admin.EmptyFieldListFilter)]
    search_fields = ["account__email", "account__id"]
    list_select_related = ["account", "plan"]
    date_hierarchy = "starts_at"


@admin.register(Grant)
class GrantAdmin(History):
    list_display = ["account", "kind", "amount", "remaining", "withdrawn", "expires_at", "source_key", "created_at"]
    list_filter = ["kind"]
    search_fields = ["account__email", "account__id", "source_key"]
    list_select_related = ["account"]


@admin.register(LedgerEntry)
class LedgerEntryAdmin(History):
    list_display = ["created_at", "account", "kind", "amount", "source_key", "reason", "actor"]
    list_filter = ["kind"]
    search_fields = ["account__email", "account__id", "source_key", "reason"]
    list_select_related = ["account", "actor"]
    date_hierarchy = "created_at"


class ModelPriceInline(admin.TabularInline):  # type: ignore[type-arg]
    """Versions are added; the database refuses to change one."""

    model = ModelPrice
    extra = 0

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(AIModel)
class AIModelAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name"]
    search_fields = ["name"]
    inlines = [ModelPriceInline]

    def get_readonly_fields(self, request: HttpRequest, obj: AIModel | None = None) -> list[str]:
        return ["name"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
