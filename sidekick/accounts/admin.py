"""Accounts, device sessions and service keys for operators (O1)."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.shortcuts import redirect

from .models import DeviceSession, DeviceSessionQuerySet, ServiceKey, ServiceKeyQuerySet, User


def _change_password(request: HttpRequest, extra_context: object = None) -> HttpResponseRedirect:
    return redirect("account_change_password")


# Rate limits, second factors and ending other sessions hold only where allauth does the work.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.password_change = _change_password  # type: ignore[assignment, method-assign]


@admin.register(User)
class UserAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("email", "name", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "name", "id")
    ordering = ("-date_joined",)
    fields = (
        ("id", "email"),
        ("name", "time_zone"),
        ("is_active", "is_staff", "is_superuser"),
        "groups",
        ("date_joined", "last_login"),
    )
    readonly_fields = ("id", "email", "date_joined", "last_login")
    filter_horizontal = ("groups",)
    actions = ("end_sessions",)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Only a superuser makes operators, lest one gives themselves rights."""
        rights = () if request.user.is_superuser else ("is_staff", "is_superuser", "groups")
        return (*self.readonly_fields, *rights)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    @admin.action(description="End all sessions of the selected accounts", permissions=["change"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        ended = DeviceSession.objects.filter(user__in=queryset).end(DeviceSession.Ended.BY_OPERATOR)
        for user in queryset:
            self.log_change(request, user, "Ended all sessions.")
        messages.success(request, f"{ended} sessions ended.")


@admin.register(DeviceSession)
class DeviceSessionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("user", "ip", "user_agent", "created_at", "last_seen", "revoked_at", "revoked_because")
    list_filter = ("revoked_because",)
    list_select_related = ("user",)
    search_fields = ("user__email", "id", "ip")
    fields = (
        "id",
        "user",
        "ip",
        "user_agent",
        "created_at",
        "last_seen",
        "rotated_at",
        "revoked_at",
        "revoked_because",
    )
    actions = ("end_sessions",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: DeviceSession | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: DeviceSession | None = None) -> bool:
        return False

    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_devicesession")

    @admin.action(description="End the selected sessions", permissions=["end"])
    def end_sessions(self, request: HttpRequest, queryset: DeviceSessionQuerySet) -> None:
        for session in queryset:
            self.log_change(request, session, "Ended the session.")
        messages.success(request, f"{queryset.end(DeviceSession.Ended.BY_OPERATOR)} sessions ended.")


@admin.register(ServiceKey)
class ServiceKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Keys are created by `manage.py create_service_key`, which shows the secret to nobody else."""

    list_display = ("name", "hint", "scopes", "created_at", "revoked_at")
    fields = ("name", "hint", "scopes", "created_at", "revoked_at")
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ServiceKey | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ServiceKey | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_servicekey")

    @admin.action(description="Revoke the selected keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: ServiceKeyQuerySet) -> None:
        for key in queryset:
            self.log_change(request, key, "Revoked.")
        messages.success(request, f"{queryset.revoke()} keys revoked.")
