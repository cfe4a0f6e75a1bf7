"""Accounts for operators: across all rooms (O1), and with their timeline (O2)."""

from __future__ import annotations

import uuid
from datetime import UTC
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from credits.models import CreditPeriod
from dashboard.backoffice.admin.account_facts import facts_about
from dashboard.backoffice.timeline.lines import Line
from dashboard.backoffice.timeline.pages import KINDS, Mark, Page
from sidekick import formatting
from sidekick.accounts.admin.accounts import UserAdmin
from sidekick.accounts.models import DeviceSession, User
from sidekick.admin import columns

# `sidekick.accounts` registers its own, which knows nothing of credits and payments.
admin.site.unregister(User)

# Tables with rows of an account: label, permission, name of the list.
RELATED = (
    ("Sessions", "accounts.view_devicesession", "accounts_devicesession"),
    ("Grants", "credits.view_grant", "credits_grant"),
    ("Ledger", "credits.view_ledgerentry", "credits_ledgerentry"),
    ("Periods", "credits.view_creditperiod", "credits_creditperiod"),
    ("Payments", "billing.view_transaction", "billing_transaction"),
    ("Subscriptions", "billing.view_subscription", "billing_subscription"),
    ("Purchases", "billing.view_purchase", "billing_purchase"),
    ("Reports", "feedback.view_report", "feedback_report"),
    ("Emails", "accounts.view_letter", "accounts_letter"),
)


@admin.register(User)
class AccountAdmin(UserAdmin):
    title = "Accounts"
    list_display = ["email", "shown_timeline", "name", "state", "plan", "date_joined", "last_seen"]
    change_form_template = "admin/account.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.timeline)
        return [path("<uuid:pk>/timeline/", view, name="accounts_user_timeline"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        opened = CreditPeriod.objects.filter(account=OuterRef("pk"), closed_at=None)
        seen = DeviceSession.objects.filter(user=OuterRef("pk")).order_by("-last_seen")
        accounts: QuerySet[User] = super().get_queryset(request)
        return accounts.annotate(
            plan_name=Subquery(opened.values("plan__name")[:1]), seen_at=Subquery(seen.values("last_seen")[:1])
        )

    @admin.display(description="Plan")
    def plan(self, account: Any) -> str:
        return account.plan_name or "–"

    @admin.display(description="Last seen")
    def last_seen(self, account: Any) -> Any:
        return account.seen_at

    @admin.display(description="Timeline")
    def shown_timeline(self, account: User) -> SafeString:
        return format_html('<a href="{}">Timeline</a>', columns.timeline_of(account.pk))

    def row_links(self, request: HttpRequest, obj: User) -> list[tuple[str, str]]:
        links = [("Timeline", columns.timeline_of(obj.pk))]
        if request.user.has_perm("credits.add_grant"):
            links.append(("Give courtesy credits", f"{reverse('admin:credits_grant_give')}?account={obj.pk}"))
        return links

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        context["facts"] = facts_about(obj, request)
        context["related"] = [
            (label, f"{reverse(f'admin:{name}_changelist')}?{urlencode({'q': obj.pk})}")
            for label, permission, name in RELATED
            if request.user.has_perm(permission)
        ]
        return super().render_change_form(request, context, add, change, form_url, obj)

    def timeline(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Everything that happened to this account, newest first (O2)."""
        account = get_object_or_404(User, pk=pk)
        if not self.has_view_permission(request, account):
            raise PermissionDenied
        kind = request.GET.get("kind", "")
        kinds = [kind] if kind in KINDS else list(KINDS)
        mark = Mark.from_query(request.GET.get("before", ""), request.GET.get("skip", "0"), timezone.now())
        page = Page.for_account(account, mark, kinds=kinds, may=request.user.has_perm)
        zone = account.zone
        here = columns.timeline_of(pk)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Timeline of {account.email}",
            "opts": self.opts,
            "account": account,
            "zone": zone.key,
            "lines": [(line, KINDS[line.kind], *_moments(line, zone)) for line in page.lines],
            "kinds": [("Everything", here, kind not in KINDS)]
            + [(label, f"{here}?kind={name}", name == kind) for name, label in KINDS.items()],
            "older": _older(here, kind, page.next),
            "newest": here + (f"?kind={kind}" if kind in KINDS else "") if "before" in request.GET else "",
        }
        return TemplateResponse(request, "admin/timeline.html", context)


def _moments(line: Line, zone: ZoneInfo) -> tuple[str, str, str]:
    """Day and time in UTC, and both in the account's zone where that is another."""
    at = line.at.astimezone(UTC)
    if line.whole_day:
        return formatting.day(at), "all day", ""
    there = line.at.astimezone(zone)
    theirs = f"{formatting.day(there)}, {formatting.clock(there)}" if there.utcoffset() else ""
    return formatting.day(at), formatting.clock(at), theirs


def _older(here: str, kind: str, mark: Mark | None) -> str:
    if mark is None:
        return ""
    asked = {"kind": kind} if kind in KINDS else {}
    return f"{here}?{urlencode({**asked, 'before': mark.before.isoformat(), 'skip': mark.skip})}"
