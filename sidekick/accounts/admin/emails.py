"""Emails that were written to accounts."""

from __future__ import annotations

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.safestring import SafeString

from sidekick.accounts import delivery
from sidekick.accounts.models import Letter, LetterQuerySet
from sidekick.admin import columns
from sidekick.admin.base import ReadOnlyAdmin
from sidekick.admin.columns import badge
from sidekick.admin.reasons import reasoned_action


@admin.register(Letter)
class LetterAdmin(ReadOnlyAdmin):
    """Facts about an email, never its text: it may hold a code."""

    title = "Emails sent"
    list_display = ["id", columns.account, "to", "template", "subject", "state", "attempts", "created_at"]
    list_select_related = ["account"]
    list_filter = ["template", ("sent_at", admin.EmptyFieldListFilter), ("due_at", admin.EmptyFieldListFilter)]
    search_fields = ["to", "account__email", "=key"]
    id_fields = ["id", "account_id"]
    dated_by = "created_at"
    fields = [
        "id", "account", "to", "template", "key", "subject", "state", "attempts", "error", "created_at", "due_at",
        "sent_at", "expires_at",
    ]  # fmt: skip
    actions = ["send_again"]

    def has_send_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_letter")

    def offers(self, request: HttpRequest, obj: Letter, action: str) -> bool:
        return delivery.may_be_sent_again(obj)

    @reasoned_action(description="Send again", permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: LetterQuerySet, reason: str) -> None:
        revived = sum(delivery.send_again(email) for email in queryset)
        messages.success(request, f"{revived} emails will be sent again; what went out or came too late has no text.")

    @admin.display(description="State")
    def state(self, email: Letter) -> SafeString:
        if email.sent_at:
            return badge("Sent", "good")
        if email.due_at is None:
            return badge("Given up", "bad")
        return badge(f"Tried {email.attempts} times", "warn") if email.error else badge("Waits", "info")
