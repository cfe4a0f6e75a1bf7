"""The operators' log and the worker's jobs (O1)."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.utils.html import format_html
from django.utils.safestring import SafeString
from procrastinate.contrib.django.models import ProcrastinateJob

from sidekick.admin.base import ReadOnlyAdmin
from sidekick.admin.columns import badge


@admin.register(LogEntry)
class OperatorLogAdmin(ReadOnlyAdmin):
    """Each act of an operator, with its time and reason."""

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
    """Jobs that the worker has done or has yet to do. Their arguments are ids."""

    title = "Jobs of the worker"
    list_display = ["id", "task_name", "args", "shown_status", "attempts", "scheduled_at", "queue_name"]
    list_filter = ["status", "task_name"]
    search_fields = ["=id", "task_name"]
    ordering = ["-id"]

    @admin.display(description="Status", ordering="status")
    def shown_status(self, job: ProcrastinateJob) -> SafeString:
        return badge(job.status, {"succeeded": "good", "failed": "bad", "doing": "info"}.get(job.status, "plain"))
