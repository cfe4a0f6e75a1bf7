"""Reports for operators: found, read, answered, exported, and forwarded to the team's webhook (F6)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Exists, OuterRef, QuerySet
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.defaultfilters import linebreaks_filter
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from feedback import csv_export, kinds, triage, webhook
from feedback.admin.forms import AnswerForm, ReportForm
from feedback.admin.related import Changes, Deliveries, Forwarding, WithImages
from feedback.models import Delivery, Report, ReportChange, ReportImage, ReportQuerySet
from sidekick.admin.columns import account, badge
from sidekick.admin.reasons import MOST_AT_ONCE, ReasonedAdmin, ReasonForm, reasoned_action

TONES = {
    Report.Status.NEW: "warn",
    Report.Status.TRIAGED: "info",
    Report.Status.PLANNED: "info",
    Report.Status.IN_PROGRESS: "info",
    Report.Status.DONE: "good",
    Report.Status.DECLINED: "plain",
}


@admin.register(Report)
class ReportAdmin(ReasonedAdmin):
    form = ReportForm
    list_display = ["reference", "report", "priority", "state", "created_at"]
    list_select_related = ["account"]
    list_filter = ["status", "kind", "priority", WithImages, Forwarding]
    search_fields = ["account_email", "account__email", "title"]
    search_help_text = "Email, reference such as BUG-1042, title, or the id of a report or an account."
    id_fields = ["id", "account_id"]
    dated_by = "created_at"
    ordering = ["-number"]
    actions = ["answer", "export_as_csv", "forward_again"]
    readonly_fields = [
        "reference", "kind", "title", "words", "priority", "pictures", "account", "account_email", "page", "browser",
        "app_version", "id", "created_at",
    ]  # fmt: skip
    fieldsets = [
        (None, {"fields": ["reference", "kind", "title", "words", "priority", "pictures"]}),
        ("Answer", {"fields": ["status", "reply", "note"]}),
        (
            "Included with the report",
            {"fields": ["account", "account_email", "page", "browser", "app_version", "id", "created_at"]},
        ),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> ReportQuerySet:
        has_images = Exists(ReportImage.objects.filter(report=OuterRef("pk")))
        found: ReportQuerySet = super().get_queryset(request).annotate(has_images=has_images)
        return found

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        number = kinds.number_in(search_term)
        if number is not None:
            return queryset.filter(number=number), False
        return super().get_search_results(request, queryset, search_term)

    def get_inlines(self, request: HttpRequest, obj: Report | None = None) -> list[type[admin.TabularInline]]:  # type: ignore[override, type-arg]
        forwarded = settings.FEEDBACK_WEBHOOK_URL or (obj and obj.deliveries.exists())
        return [Changes, Deliveries] if forwarded else [Changes]

    def offers(self, request: HttpRequest, obj: Report, action: str) -> bool:
        # The page of a report has the form to answer it, so that it needs no button for that.
        return action == "forward_again" and obj.deliveries.filter(delivered_at=None).exists()

    @admin.display(ordering="number")
    def reference(self, report: Report) -> str:
        return report.reference

    @admin.display(ordering="status", description="Status")
    def state(self, report: Report) -> SafeString:
        return badge(report.get_status_display(), TONES[Report.Status(report.status)])

    @admin.display(ordering="title", description="Report")
    def report(self, report: Report) -> SafeString:
        """The title, and below it who sent the report; a column each would not fit a small screen."""
        sender = account(report)
        pictured = ", with images" if report.has_images else ""  # type: ignore[attr-defined]
        return format_html('{}<span class="below">{}{}</span>', report.title, sender, pictured)

    @admin.display(description="Description")
    def words(self, report: Report) -> str:
        return linebreaks_filter(report.description)

    @admin.display(description="Images")
    def pictures(self, report: Report) -> SafeString | str:
        shown = ((image.get_absolute_url(), image.get_absolute_url(), image.name) for image in report.images.all())
        link = '<a href="{}" target="_blank"><img src="{}" alt="{}" height="120"></a>'
        return format_html_join(" ", link, shown) or "–"

    def save_model(self, request: HttpRequest, obj: Report, form: Any, change: bool) -> None:
        # Not `obj.save()`: status and reply leave a history and an email, and another operator's answer stays.
        answer = {name: form.cleaned_data[name] for name in ("status", "reply") if name in form.changed_data}
        if "note" in form.changed_data:
            Report.objects.filter(pk=obj.pk).update(note=form.cleaned_data["note"])
        if answer:
            _change(request, obj.pk, **answer, reason=form.cleaned_data["reason"])

    @admin.action(description="Answer", permissions=["change"])
    def answer(self, request: HttpRequest, queryset: ReportQuerySet) -> HttpResponseBase | None:
        if queryset.count() > MOST_AT_ONCE:
            messages.error(request, f"Choose at most {MOST_AT_ONCE} reports.")
            return None
        form = AnswerForm(request.POST if "reason" in request.POST else None)
        if not form.is_valid():
            return self._ask(request, form, queryset, "Answer")
        answer, chosen = form.cleaned_data, list(queryset)
        status, reply, reason = answer["status"] or None, answer["reply"] or None, answer["reason"]
        changed = [report for report in chosen if _change(request, report.pk, status, reply, reason=reason)]
        summary = f"Answered with others ({status or 'status as it was'}{', reply' if reply else ''})"
        for report in changed:
            self.log_change(request, report, f"{summary}: {reason}")
        messages.success(request, f"{len(changed)} of {len(chosen)} reports changed; their customers are told.")
        return None

    @admin.action(description="Export as CSV", permissions=["view"])
    def export_as_csv(self, request: HttpRequest, queryset: ReportQuerySet) -> HttpResponseBase:
        # A bulk export of private words is logged with its reason, as every other act of an operator.
        form = ReasonForm(request.POST if "reason" in request.POST else None)
        if not form.is_valid():
            return self._ask(request, form, queryset, "Export as CSV")
        LogEntry.objects.create(
            user=request.user,  # type: ignore[misc]
            content_type=ContentType.objects.get_for_model(Report),
            object_repr=f"{queryset.count()} reports",
            action_flag=CHANGE,
            change_message=f"Exported as CSV: {form.cleaned_data['reason']}",
        )
        name = f"reports-{timezone.now():%Y-%m-%d}.csv"
        file = csv_export.write(queryset)
        return FileResponse(file, as_attachment=True, filename=name, content_type="text/csv; charset=utf-8")

    @reasoned_action(description="Forward to the webhook again", permissions=["change"])
    def forward_again(self, request: HttpRequest, queryset: ReportQuerySet, reason: str) -> None:
        """Forward what failed for good, or waits for its next attempt."""
        waiting = Delivery.objects.filter(report__in=queryset.values("pk"), delivered_at=None).order_by("change_id")
        changes = list(waiting.values_list("change_id", flat=True))
        for change_id in changes:
            webhook.enqueue_again(change_id)
        messages.success(request, f"{len(changes)} changes are forwarded again.")

    def _ask(self, request: HttpRequest, form: forms.Form, chosen: ReportQuerySet, title: str) -> HttpResponse:
        """The page that asks for the form; it posts to the same list with the same filters."""
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "button": title,
            "opts": self.opts,
            "form": form,
            "count": chosen.count(),
            "shown": chosen[:20],
            "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "checkbox": ACTION_CHECKBOX_NAME,
            "action": request.POST["action"],
            "everything": request.POST.get("select_across") == "1",
            "cancel": request.get_full_path(),
        }
        return TemplateResponse(request, "feedback/admin/ask.html", context, status=422 if form.is_bound else 200)


def _change(
    request: HttpRequest, number: int, status: str | None = None, reply: str | None = None, *, reason: str
) -> ReportChange | None:
    by: Any = request.user
    return triage.answer(number, status=status, reply=reply, by=by, reason=reason, now=timezone.now())
