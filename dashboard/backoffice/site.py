"""Django's admin for operators: tables grouped by subject, and one box that finds any row (O1)."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite, ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path

from sidekick.admin.base import OperatorAdmin

# The order of groups and tables on the index and in the sidebar.
GROUPS: dict[str, tuple[str, ...]] = {
    "Customers": (
        "accounts.User",
        "accounts.DeviceSession",
        "accounts.Letter",
        "account.EmailAddress",
        "socialaccount.SocialAccount",
        "mfa.Authenticator",
    ),
    "Credits": (
        "credits.Grant",
        "credits.LedgerEntry",
        "credits.CreditPeriod",
        "credits.Wallet",
        "credits.Hold",
        "credits.AIModel",
        "credits.Plan",
    ),
    "Money": (
        "billing.WaitingPayment",
        "billing.Transaction",
        "billing.Subscription",
        "billing.Adjustment",
        "billing.Purchase",
        "billing.Customer",
        "billing.PaddleEvent",
        "billing.EventFeed",
        "billing.PlanPrice",
    ),
    "Feedback": ("feedback.Report",),
    "System": (
        "admin.LogEntry",
        "accounts.ServiceKey",
        "procrastinate.ProcrastinateJob",
        "auth.Group",
    ),
}
REST = "More"


class OperatorSite(AdminSite):
    site_header = site_title = "Sidekick operators"
    index_title = "Operators"

    def register(
        self, model_or_iterable: Any, admin_class: type[ModelAdmin[Any]] | None = None, **options: Any
    ) -> None:
        """Registers an `OperatorAdmin`, and ignores any other."""
        # Third-party apps register pages that change and delete rows without a reason.
        if admin_class and issubclass(admin_class, OperatorAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def get_urls(self) -> list[URLResolver | URLPattern]:
        return [path("find", self.admin_view(self.find), name="find"), *super().get_urls()]

    def find(self, request: HttpRequest) -> HttpResponse:
        """Redirects to the page of the row with this id or email; 404 where there is none."""
        # Django imports this module before models can be imported.
        from dashboard.backoffice import search

        wanted = request.GET.get("q", "").strip()
        found = search.page_of(wanted, request) if wanted else None
        if found:
            return redirect(found)
        context = {**self.each_context(request), "title": "Nothing found" if wanted else "Find", "wanted": wanted}
        return TemplateResponse(request, "admin/find.html", context, status=404 if wanted else 200)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The tables in our groups, or those of one app as Django lists them."""
        apps = super().get_app_list(request, app_label)
        if app_label:
            return apps
        models = {model["model"]._meta.label: model for app in apps for model in app["models"]}
        for model in models.values():
            model["name"] = self._registry[model["model"]].heading()  # type: ignore[attr-defined]
        groups = []
        for name, labels in GROUPS.items():
            groups.append(_group(name, [models.pop(label) for label in labels if label in models]))
        groups.append(_group(REST, list(models.values())))
        return [group for group in groups if group["models"]]


def _group(name: str, models: list[Any]) -> dict[str, Any]:
    return {"name": name, "app_label": name.lower(), "app_url": "", "has_module_perms": True, "models": models}
