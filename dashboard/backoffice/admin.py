"""What operators see of an account across all rooms (O1, O2), their own log, and the worker's jobs."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from procrastinate.contrib.django.models import ProcrastinateJob

from billing import subscriptions
from billing.models import Subscription
from credits.models import CreditPeriod
from credits.reports.balance import current_balance
from dashboard.backoffice import timeline
from dashboard.backoffice.timeline import Happening, Mark
from sidekick import formatting
from sidekick.accounts.admin.accounts import UserAdmin
from sidekick.accounts.models import DeviceSession, User
from sidekick.admin import base
from sidekick.admin.base import ReadOnlyAdmin, badge

admin.site.unregister(User)

# Tables of an account: label, permission, name of the list.
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
        return format_html('<a href="{}">Timeline</a>', base.timeline_of(account.pk))

    def row_links(self, request: HttpRequest, obj: User) -> list[tuple[str, str]]:
        links = [("Timeline", base.timeline_of(obj.pk))]
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
        context["facts"] = _facts(request, obj)
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
        kinds = [kind] if kind in timeline.KINDS else list(timeline.KINDS)
        mark = timeline.mark_of(request.GET.get("before", ""), request.GET.get("skip", "0"), timezone.now())
        page = timeline.of(account, mark, kinds=kinds, may=request.user.has_perm)
        zone = account.zone
        here = base.timeline_of(pk)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Timeline of {account.email}",
            "opts": self.opts,
            "account": account,
            "zone": zone.key,
            "lines": [
                (happening, timeline.KINDS[happening.kind], *_moments(happening, zone)) for happening in page.happenings
            ],
            "kinds": [("Everything", here, kind not in timeline.KINDS)]
            + [(label, f"{here}?kind={name}", name == kind) for name, label in timeline.KINDS.items()],
            "older": _older(here, kind, page.next),
            "newest": here + (f"?kind={kind}" if kind in timeline.KINDS else "") if "before" in request.GET else "",
        }
        return TemplateResponse(request, "admin/timeline.html", context)


@admin.register(LogEntry)
class OperatorLogAdmin(ReadOnlyAdmin):
    """Who did what, when and why."""

    title = "Operator log"
    list_display = ["action_time", "operator", "what", "row", "why"]
    list_display_links = ["action_time"]
    list_filter = [("content_type", admin.RelatedOnlyFieldListFilter), ("user", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["user", "content_type"]
    search_fields = ["user__email", "=object_id", "object_repr", "change_message"]
    dated_by = "action_time"
    ordering = ["-id"]
    fields = ["action_time", "operator", "what", "row", "why"]
    readonly_fields = ["action_time", "operator", "what", "row", "why"]

    @admin.display(description="Operator", ordering="user__email")
    def operator(self, entry: LogEntry) -> str:
        return entry.user.email

    @admin.display(description="Table", ordering="content_type")
    def what(self, entry: LogEntry) -> str:
        return entry.content_type.name.capitalize() if entry.content_type else ""

    @admin.display(description="Row")
    def row(self, entry: LogEntry) -> SafeString | str:
        address = entry.get_admin_url()
        return format_html('<a href="{}">{}</a>', address, entry.object_repr) if address else entry.object_repr

    @admin.display(description="What and why")
    def why(self, entry: LogEntry) -> str:
        return entry.get_change_message()


@admin.register(ProcrastinateJob)
class JobAdmin(ReadOnlyAdmin):
    """What the worker has done and has yet to do. Arguments are ids."""

    title = "Jobs of the worker"
    list_display = ["id", "task_name", "args", "shown_status", "attempts", "scheduled_at", "queue_name"]
    list_filter = ["status", "task_name"]
    search_fields = ["=id", "task_name"]
    ordering = ["-id"]

    @admin.display(description="Status", ordering="status")
    def shown_status(self, job: ProcrastinateJob) -> SafeString:
        return badge(job.status, {"succeeded": "good", "failed": "bad", "doing": "info"}.get(job.status, "plain"))


def _facts(request: HttpRequest, account: User) -> list[tuple[str, str, str]]:
    """(label, figure, what is said of it), as far as this operator may know."""
    facts = []
    now = timezone.now()
    if request.user.has_perm("credits.view_creditperiod"):
        with current_balance(account.pk, now) as balance:
            ends = formatting.day(balance.ends_at)
            used = f"{formatting.credits(balance.used)} of {formatting.credits(balance.total)} used"
            facts.append(("Plan", balance.plan_name, f"{used}, until {ends}"))
            owed = f"owes {formatting.credits(balance.debt)}" if balance.debt else ""
            bought = f"{formatting.credits(balance.additional)} bought, {formatting.credits(balance.courtesy)} courtesy"
            facts.append(("Available", formatting.credits(balance.available), owed or bought))
    if request.user.has_perm("billing.view_subscription"):
        facts.append(_subscription(account))
    if request.user.has_perm("accounts.view_devicesession"):
        facts.append(_seen(account, now))
    return facts


def _subscription(account: User) -> tuple[str, str, str]:
    newest = Subscription.objects.filter(account=account).order_by(F("started_at").desc(nulls_last=True)).first()
    if newest is None:
        return "Subscription", "None", "Never subscribed"
    words = subscriptions.WORDS.get(newest.status, newest.status)
    if newest.change_at:
        return "Subscription", words, f"{newest.change_action} on {formatting.day(newest.change_at)}"
    billed = f"next payment {formatting.day(newest.next_billed_at)}" if newest.next_billed_at else ""
    return "Subscription", words, billed


def _seen(account: User, now: datetime) -> tuple[str, str, str]:
    sessions = DeviceSession.objects.filter(user=account)
    live = sessions.live(now).count()
    last = sessions.order_by("-last_seen").values_list("last_seen", flat=True).first()
    words = f"{live} live {'session' if live == 1 else 'sessions'}"
    return "Last seen", f"{formatting.day(last)}, {last:%H:%M}" if last else "Never", words


def _moments(happening: Happening, zone: ZoneInfo) -> tuple[str, str, str]:
    """Day and time in UTC, and both in the account's zone where that is another."""
    at = happening.at.astimezone(UTC)
    if happening.whole_day:
        return formatting.day(at), "all day", ""
    there = happening.at.astimezone(zone)
    theirs = f"{formatting.day(there)}, {formatting.clock(there)}" if there.utcoffset() else ""
    return formatting.day(at), formatting.clock(at), theirs


def _older(here: str, kind: str, mark: Mark | None) -> str:
    if mark is None:
        return ""
    asked = {"kind": kind} if kind in timeline.KINDS else {}
    return f"{here}?{urlencode({**asked, 'before': mark.before.isoformat(), 'skip': mark.skip})}"
