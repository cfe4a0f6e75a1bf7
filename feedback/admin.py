"""Reports for operators: read, answered, exported, and how far they were told to the team's webhook (F6)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Exists, Model, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.defaultfilters import linebreaks_filter
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from feedback import csv_export, kinds, triage, webhook
from feedback.forms import TextField
from feedback.models import TEXT_LENGTH, Delivery, Report, ReportChange, ReportImage, ReportQuerySet
from sidekick.admin.base import MOST_AT_ONCE, Reason, ReasonedAdmin, ReasonForm, account, badge, reasoned_action

TONES = {
    Report.Status.NEW: "warn",
    Report.Status.TRIAGED: "info",
    Report.Status.PLANNED: "info",
    Report.Status.IN_PROGRESS: "info",
    Report.Status.DONE: "good",
    Report.Status.DECLINED: "plain",
}


class AnswerForm(forms.Form):
    """The same answer for several reports."""

    status = forms.ChoiceField(choices=[("", "Leave as it is"), *Report.Status.choices], required=False)
    reply = TextField(
        label="Public reply",
        required=False,
        max_length=TEXT_LENGTH,
        help_text="Every one of these customers gets it instead of the reply they have. Empty: each keeps its own.",
        widget=forms.Textarea(attrs={"rows": 5}),
    )
    reason = Reason()

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or self.cleaned_data
        if not said.get("status") and not said.get("reply") and "reply" not in self.errors:
            raise forms.ValidationError("Choose a status or write a reply.")
        return said


class ReportForm(forms.ModelForm):  # type: ignore[type-arg]
    """Only what was changed on this very page is saved: somebody else may have answered since it was opened."""

    class Meta:
        model = Report
        fields = ["status", "reply", "note"]
        field_classes = {"reply": TextField, "note": TextField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.Meta.fields:
            if name in self.fields:
                self.fields[name].show_hidden_initial = True


class Lines(admin.TabularInline):  # type: ignore[type-arg]
    """Rows below a report, for whoever may read the report."""

    extra = 0
    can_delete = False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ChangeLines(Lines):
    model = ReportChange
    verbose_name_plural = "history"
    fields = ["created_at", "was", "status", "reply", "by", "reason"]


class DeliveryLines(Lines):
    model = Delivery
    fields = ["change", "attempts", "delivered_at", "error"]


class WithImages(admin.SimpleListFilter):
    title = "images"
    parameter_name = "images"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "With images"), ("no", "Without images")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(has_images=self.value() == "yes") if self.value() else queryset


class Forwarding(admin.SimpleListFilter):
    title = "forwarding"
    parameter_name = "forwarding"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("waits", "Not delivered yet"), ("failed", "Failed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        missing = Delivery.objects.filter(report=OuterRef("pk"), delivered_at=None)
        if self.value() == "failed":
            missing = missing.exclude(error="")
        return queryset.filter(Exists(missing)) if self.value() else queryset


@admin.register(Report)
class ReportAdmin(ReasonedAdmin):
    form = ReportForm
    list_display = ["reference", "title", "priority", "state", "images", "created_at", account]
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
        ("Sent along", {"fields": ["account", "account_email", "page", "browser", "app_version", "id", "created_at"]}),
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
        told = settings.FEEDBACK_WEBHOOK_URL or (obj and obj.deliveries.exists())
        return [ChangeLines, DeliveryLines] if told else [ChangeLines]

    def offers(self, request: HttpRequest, obj: Report, action: str) -> bool:
        """A report's own page has the form to answer it."""
        return action == "forward_again" and obj.deliveries.filter(delivered_at=None).exists()

    @admin.display(ordering="number")
    def reference(self, report: Report) -> str:
        return report.reference

    @admin.display(ordering="status", description="Status")
    def state(self, report: Report) -> SafeString:
        return badge(report.get_status_display(), TONES[Report.Status(report.status)])

    @admin.display(boolean=True, description="Images")
    def images(self, report: Report) -> bool:
        return bool(report.has_images)  # type: ignore[attr-defined]

    @admin.display(description="Description")
    def words(self, report: Report) -> str:
        return linebreaks_filter(report.description)

    @admin.display(description="Images")
    def pictures(self, report: Report) -> SafeString | str:
        """Thumbnails; each opens its image."""
        shown = ((image.get_absolute_url(), image.get_absolute_url(), image.name) for image in report.images.all())
        return (
            format_html_join(" ", '<a href="{}" target="_blank"><img src="{}" alt="{}" height="120"></a>', shown) or "–"
        )

    def save_model(self, request: HttpRequest, obj: Report, form: Any, change: bool) -> None:
        """Status and reply go the way that leaves a history and tells the customer."""
        words = {name: form.cleaned_data[name] for name in ("status", "reply") if name in form.changed_data}
        if "note" in form.changed_data:
            Report.objects.filter(pk=obj.pk).update(note=form.cleaned_data["note"])
        if words:
            _change(request, obj.pk, **words, reason=form.cleaned_data["reason"])

    @admin.action(description="Answer", permissions=["change"])
    def answer(self, request: HttpRequest, queryset: ReportQuerySet) -> HttpResponseBase | None:
        if queryset.count() > MOST_AT_ONCE:
            messages.error(request, f"Choose at most {MOST_AT_ONCE} reports.")
            return None
        form = AnswerForm(request.POST if "reason" in request.POST else None)
        if not form.is_valid():
            return self._ask(request, form, queryset, "Answer")
        said, rows = form.cleaned_data, list(queryset)
        told = f"Answered with others ({said['status'] or 'status as it was'}{', reply' if said['reply'] else ''})"
        done = [
            r
            for r in rows
            if _change(request, r.pk, said["status"] or None, said["reply"] or None, reason=said["reason"])
        ]
        for report in done:
            self.log_change(request, report, f"{told}: {said['reason']}")
        messages.success(request, f"{len(done)} of {len(rows)} reports changed; their customers are told.")
        return None

    @admin.action(description="Export as CSV", permissions=["view"])
    def export_as_csv(self, request: HttpRequest, queryset: ReportQuerySet) -> HttpResponseBase:
        """All that match, in the order of the list, however many."""
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
        answer = StreamingHttpResponse(csv_export.lines(queryset), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="reports-{timezone.now():%Y-%m-%d}.csv"'
        return answer

    @reasoned_action(description="Forward to the webhook again", permissions=["change"])
    def forward_again(self, request: HttpRequest, queryset: ReportQuerySet, reason: str) -> None:
        """What failed for good, or waits for its next attempt."""
        waiting = Delivery.objects.filter(report__in=queryset.values("pk"), delivered_at=None).order_by("change_id")
        changes = list(waiting.values_list("change_id", flat=True))
        for change_id in changes:
            webhook.enqueue_again(change_id)
        messages.success(request, f"{len(changes)} changes are forwarded again.")

    def _ask(self, request: HttpRequest, form: forms.Form, chosen: ReportQuerySet, title: str) -> HttpResponse:
        """A page between, which is posted to the same list with the same filters."""
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
    return triage.change(number, status=status, reply=reply, by=by, reason=reason, now=timezone.now())
