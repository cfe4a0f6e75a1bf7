"""Signed-in devices."""

from __future__ import annotations

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from sidekick.accounts.models import DeviceSession, DeviceSessionQuerySet
from sidekick.admin import columns
from sidekick.admin.base import ReadOnlyAdmin
from sidekick.admin.columns import badge
from sidekick.admin.reasons import reasoned_action


@admin.register(DeviceSession)
class DeviceSessionAdmin(ReadOnlyAdmin):
    title = "Sessions"
    list_display = ["id", "account", "ip", "user_agent", "created_at", "last_seen", "state"]
    list_filter = ["revoked_because", ("revoked_at", admin.EmptyFieldListFilter)]
    list_select_related = ["user"]
    search_fields = ["user__email", "=ip"]
    id_fields = ["id", "user_id"]
    ordering = ["-created_at"]
    dated_by = "created_at"
    fields = ["id", "user", "ip", "user_agent", "created_at", "last_seen", "rotated_at", "revoked_at", "state"]
    actions = ["end_sessions"]

    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_devicesession")

    def offers(self, request: HttpRequest, obj: DeviceSession, action: str) -> bool:
        return obj.revoked_at is None

    def within_reach(self, request: HttpRequest, queryset: DeviceSessionQuerySet) -> DeviceSessionQuerySet:
        """As with accounts: those of operators are ended by superusers only."""
        return queryset if request.user.is_superuser else queryset.filter(user__is_staff=False)

    def row_links(self, request: HttpRequest, obj: DeviceSession) -> list[tuple[str, str]]:
        return [("Account", columns.address_of(obj.user_id)), ("Timeline", columns.timeline_of(obj.user_id))]

    @admin.display(description="Account", ordering="user__email")
    def account(self, session: DeviceSession) -> SafeString:
        return columns.account_links(session.user_id, session.user.email)

    @admin.display(description="State")
    def state(self, session: DeviceSession) -> SafeString:
        if session.revoked_at:
            return badge(session.get_revoked_because_display().capitalize())
        return badge("Live", "good") if session.expires_at > timezone.now() else badge("Expired")

    @reasoned_action(description="End", permissions=["end"])
    def end_sessions(self, request: HttpRequest, queryset: DeviceSessionQuerySet, reason: str) -> None:
        messages.success(request, f"{queryset.end(DeviceSession.Ended.BY_OPERATOR)} sessions ended.")
