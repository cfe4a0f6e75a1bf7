"""Accounts, device sessions, letters and service keys for operators (O1)."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.safestring import SafeString

from sidekick.accounts import emails
from sidekick.admin import base
from sidekick.admin.base import ReadOnlyAdmin, ReasonedAdmin, badge, reasoned_action

from .models import DeviceSession, DeviceSessionQuerySet, Letter, LetterQuerySet, ServiceKey, ServiceKeyQuerySet, User


def _change_password(request: HttpRequest, extra_context: object = None) -> HttpResponseRedirect:
    return redirect("account_change_password")


# Rate limits, second factors and ending other sessions hold only where allauth does the work.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.password_change = _change_password  # type: ignore[assignment, method-assign]


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
        """Only a superuser makes operators, lest one gives themselves rights."""
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
        """Nobody gets in any more, and who is in is out at once. Nobody suspends themselves."""
        operator: User = request.user  # type: ignore[assignment]
        suspended = list(queryset.exclude(pk=operator.pk).filter(is_active=True))
        User.objects.filter(pk__in=[user.pk for user in suspended]).update(is_active=False)
        DeviceSession.objects.filter(user__in=suspended).end(DeviceSession.Ended.BY_OPERATOR)
        messages.success(request, f"{len(suspended)} accounts suspended, their sessions ended.")

    @reasoned_action(description="Reactivate", permissions=["change"])
    def reactivate(self, request: HttpRequest, queryset: QuerySet[User], reason: str) -> None:
        """What its owner deleted stays deleted."""
        back = queryset.filter(is_active=False, deleted_at=None).update(is_active=True)
        messages.success(request, f"{back} accounts may sign in again.")


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
        return [("Account", base.address_of(obj.user_id)), ("Timeline", base.timeline_of(obj.user_id))]

    @admin.display(description="Account", ordering="user__email")
    def account(self, session: DeviceSession) -> SafeString:
        return base.account_links(session.user_id, session.user.email)

    @admin.display(description="State")
    def state(self, session: DeviceSession) -> SafeString:
        if session.revoked_at:
            return badge(session.get_revoked_because_display().capitalize())
        return badge("Live", "good") if session.expires_at > timezone.now() else badge("Expired")

    @reasoned_action(description="End", permissions=["end"])
    def end_sessions(self, request: HttpRequest, queryset: DeviceSessionQuerySet, reason: str) -> None:
        messages.success(request, f"{queryset.end(DeviceSession.Ended.BY_OPERATOR)} sessions ended.")


@admin.register(Letter)
class LetterAdmin(ReadOnlyAdmin):
    """What was sent, never what it says: a letter may hold a code."""

    title = "Emails sent"
    list_display = ["id", base.account, "to", "template", "subject", "state", "attempts", "created_at"]
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
        return emails.may_be_sent_again(obj)

    @reasoned_action(description="Send again", permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: LetterQuerySet, reason: str) -> None:
        revived = sum(emails.send_again(letter) for letter in queryset)
        messages.success(request, f"{revived} emails will be sent again; what went out or came too late has no text.")

    @admin.display(description="State")
    def state(self, letter: Letter) -> SafeString:
        if letter.sent_at:
            return badge("Sent", "good")
        if letter.due_at is None:
            return badge("Given up", "bad")
        return badge(f"Tried {letter.attempts} times", "warn") if letter.error else badge("Waits", "info")


@admin.register(ServiceKey)
class ServiceKeyAdmin(ReadOnlyAdmin):
    """Keys are created by `manage.py create_service_key`, which shows the secret to nobody else."""

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


@admin.register(EmailAddress)
class EmailAddressAdmin(ReadOnlyAdmin):
    title = "Email addresses"
    list_display = ["email", "user", "primary", "verified"]
    list_filter = ["primary", "verified"]
    list_select_related = ["user"]
    search_fields = ["email", "user__email"]
    id_fields = ["user_id"]


@admin.register(SocialAccount)
class SocialAccountAdmin(ReadOnlyAdmin):
    """Which accounts sign in with Google or GitHub; what those told us about the person stays out."""

    title = "Google and GitHub sign-ins"
    list_display = ["user", "provider", "uid", "date_joined", "last_login"]
    list_filter = ["provider"]
    list_select_related = ["user"]
    search_fields = ["user__email", "=uid"]
    id_fields = ["user_id"]
    fields = ["user", "provider", "uid", "date_joined", "last_login"]


@admin.register(Authenticator)
class AuthenticatorAdmin(ReadOnlyAdmin):
    """Which second factors an account has. Their secrets are shown to nobody."""

    title = "Second factors"
    list_display = ["user", "type", "created_at", "last_used_at"]
    list_filter = ["type"]
    list_select_related = ["user"]
    search_fields = ["user__email"]
    id_fields = ["user_id"]
    fields = ["user", "type", "created_at", "last_used_at"]


@admin.register(Group)
class GroupAdmin(ReasonedAdmin):
    """What operators may do. Only a superuser changes it, lest one gives themselves rights."""

    title = "Groups of rights"
    search_fields = ["name"]
    filter_horizontal = ["permissions"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)
