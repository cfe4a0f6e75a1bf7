"""The AI backend's keys."""

from __future__ import annotations

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.safestring import SafeString

from sidekick.accounts.models import ServiceKey, ServiceKeyQuerySet
from sidekick.admin.base import ReadOnlyAdmin
from sidekick.admin.columns import badge
from sidekick.admin.reasons import reasoned_action


@admin.register(ServiceKey)
class ServiceKeyAdmin(ReadOnlyAdmin):
    """Keys are created by `manage.py create_service_key`, which shows the secret once."""

    title = "Service keys"
    list_display = ["name", "hint", "scopes", "created_at", "state"]
    search_fields = ["name", "hint"]
    fields = ["name", "hint", "scopes", "created_at", "revoked_at"]
    actions = ["revoke"]

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_servicekey")

    def offers(self, request: HttpRequest, obj: ServiceKey, action: str) -> bool:
        return obj.revoked_at is None

    @admin.display(description="State")
    def state(self, key: ServiceKey) -> SafeString:
        return badge("Revoked", "bad") if key.revoked_at else badge("Valid", "good")

    @reasoned_action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: ServiceKeyQuerySet, reason: str) -> None:
        messages.success(request, f"{queryset.revoke()} keys revoked.")
