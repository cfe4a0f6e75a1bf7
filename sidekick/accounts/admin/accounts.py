"""Accounts, and the groups of rights that operators have."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from sidekick.accounts.models import DeviceSession, User
from sidekick.admin.columns import badge
from sidekick.admin.reasons import ReasonedAdmin, reasoned_action


@admin.register(User)
class UserAdmin(ReasonedAdmin):
    title = "Accounts"
    list_display = ["email", "name", "state", "date_joined"]
    list_filter = ["is_active", "is_staff"]
    search_fields = ["email", "name"]
    id_fields = ["id"]
    ordering = ["-date_joined"]
    fieldsets = [
        (None, {"fields": ["id", "email", "name", "time_zone", "state", "date_joined", "last_login"]}),
        ("Rights", {"fields": ["is_staff", "is_superuser", "groups"], "classes": ["collapse"]}),
    ]
    readonly_fields = ["id", "email", "state", "date_joined", "last_login"]
    filter_horizontal = ["groups"]
    actions = ["end_sessions", "suspend", "reactivate"]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Only a superuser makes operators, so that operators can't give themselves rights."""
        rights = [] if request.user.is_superuser else ["is_staff", "is_superuser", "groups"]
        return [*self.readonly_fields, *rights]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def offers(self, request: HttpRequest, obj: User, action: str) -> bool:
        return {"suspend": obj.is_active, "reactivate": not obj.is_active}.get(action, True)

    def within_reach(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        """An operator's own account is touched by superusers only."""
        return queryset if request.user.is_superuser else queryset.filter(is_staff=False)

    @admin.display(description="State", ordering="is_active")
    def state(self, user: User) -> SafeString:
        if user.deleted_at:
            return badge("Deleted", "bad")
        if not user.is_active:
            return badge("Suspended", "warn")
        return badge("Operator", "info") if user.is_staff else badge("Active", "good")

    @reasoned_action(description="End all sessions", permissions=["change"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[User], reason: str) -> None:
        ended = DeviceSession.objects.filter(user__in=queryset)
        messages.success(request, f"{ended.end(DeviceSession.Ended.BY_OPERATOR)} sessions ended.")

    @reasoned_action(description="Suspend", permissions=["change"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[User], reason: str) -> None:
        """Refuse sign-in and end all sessions at once. Operators can't suspend themselves."""
        operator: Any = request.user
        suspended = list(queryset.exclude(pk=operator.pk).filter(is_active=True))
        User.objects.filter(pk__in=[user.pk for user in suspended]).update(is_active=False)
        DeviceSession.objects.filter(user__in=suspended).end(DeviceSession.Ended.BY_OPERATOR)
        messages.success(request, f"{len(suspended)} accounts suspended, their sessions ended.")

    @reasoned_action(description="Reactivate", permissions=["change"])
    def reactivate(self, request: HttpRequest, queryset: QuerySet[User], reason: str) -> None:
        """An account that its owner deleted stays deleted."""
        back = queryset.filter(is_active=False, deleted_at=None).update(is_active=True)
        messages.success(request, f"{back} accounts may sign in again.")


@admin.register(Group)
class GroupAdmin(ReasonedAdmin):
    """Rights of operators. Only a superuser changes them, so that operators can't give themselves rights."""

    title = "Groups of rights"
    search_fields = ["name"]
    filter_horizontal = ["permissions"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)
