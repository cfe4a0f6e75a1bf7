"""Credits as operators see them. History is read-only: it changes by new entries, never by edits.

Grants, of which operators give and take back some, are in `grants`.
"""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.safestring import SafeString

from credits.admin.columns import credit_column
from credits.models import AIModel, CreditPeriod, Hold, LedgerEntry, ModelPrice, Plan, Wallet
from sidekick.admin import columns
from sidekick.admin.base import PLAIN_NUMBERS, OfAnAccount
from sidekick.admin.columns import badge
from sidekick.admin.reasons import ReasonedAdmin

TONES = {
    LedgerEntry.Kind.VOIDED: "bad",
    LedgerEntry.Kind.FORFEITED: "warn",
    LedgerEntry.Kind.COURTESY: "info",
    LedgerEntry.Kind.RESTORED: "info",
    LedgerEntry.Kind.PURCHASED: "good",
}


@admin.register(Wallet)
class WalletAdmin(OfAnAccount):
    title = "Wallets"
    list_display = ["pk", columns.account, credit_column("held"), credit_column("debt"), "due_at"]
    list_filter = [("due_at", admin.EmptyFieldListFilter)]


@admin.register(Hold)
class HoldAdmin(OfAnAccount):
    title = "Holds"
    list_display = [
        "request_id",
        columns.account,
        "model",
        credit_column("amount"),
        "of_state",
        "created_at",
        "expires_at",
        "ended_at",
    ]
    list_filter = ["state"]
    list_select_related = ["account", "model"]
    search_fields = ["account__email", "=request_id"]
    id_fields = ["id", "account_id"]

    @admin.display(description="State", ordering="state")
    def of_state(self, hold: Hold) -> SafeString:
        tones = {Hold.State.OPEN: "info", Hold.State.SETTLED: "good", Hold.State.LAPSED: "warn"}
        return badge(hold.get_state_display(), tones.get(Hold.State(hold.state), ""))


@admin.register(CreditPeriod)
class CreditPeriodAdmin(OfAnAccount):
    title = "Periods"
    list_display = [
        "id",
        columns.account,
        "plan",
        "starts_at",
        "ends_at",
        credit_column("allocation"),
        credit_column("rollover"),
        credit_column("used"),
        "state",
    ]
    list_filter = ["plan", ("closed_at", admin.EmptyFieldListFilter)]
    list_select_related = ["account", "plan"]
    dated_by = "starts_at"

    @admin.display(description="State", ordering="closed_at")
    def state(self, period: CreditPeriod) -> SafeString:
        return badge("Closed") if period.closed_at else badge("Open", "good")


@admin.register(LedgerEntry)
class LedgerEntryAdmin(OfAnAccount):
    title = "Ledger"
    list_display = [
        "id",
        "created_at",
        columns.account,
        "of_kind",
        credit_column("amount"),
        "reason",
        "actor",
        "source_key",
    ]
    list_filter = ["kind", ("actor", admin.EmptyFieldListFilter)]
    search_fields = ["account__email", "source_key", "reason"]
    list_select_related = ["account", "actor"]
    dated_by = "created_at"

    @admin.display(description="Kind", ordering="kind")
    def of_kind(self, entry: LedgerEntry) -> SafeString:
        return badge(entry.get_kind_display(), TONES.get(LedgerEntry.Kind(entry.kind), "plain"))


@admin.register(Plan)
class PlanAdmin(ReasonedAdmin):
    title = "Plans"
    list_display = ["name", "slug", credit_column("monthly_credits"), "rollover_percent", "may_buy_credits"]

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> list[str]:
        return ["slug"] if obj else []


class ModelPriceInline(admin.TabularInline):  # type: ignore[type-arg]
    """Versions are added; the database refuses to change one."""

    model = ModelPrice
    formfield_overrides = PLAIN_NUMBERS
    extra = 0
    verbose_name = "price per million tokens, in credits"
    verbose_name_plural = "prices per million tokens, in credits"

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(AIModel)
class AIModelAdmin(ReasonedAdmin):
    title = "Price book"
    list_display = ["name"]
    search_fields = ["name"]
    inlines = [ModelPriceInline]

    # Backends name the model in every request, so a name never changes.
    def get_readonly_fields(self, request: HttpRequest, obj: AIModel | None = None) -> list[str]:
        return ["name"] if obj else []
