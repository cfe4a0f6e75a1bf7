"""Grants as operators see them, and give, take back and restore credits: each move once, with a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from credits.admin.columns import credit_column
from credits.admin.forms import CourtesyForm, MoveForm
from credits.ledger import grants
from credits.ledger.grants import NothingLeftToVoid, NothingToRestore, SourceKeyReused
from credits.models import Grant, LedgerEntry
from sidekick import formatting
from sidekick.accounts.models import User
from sidekick.admin import columns
from sidekick.admin.base import OfAnAccount
from sidekick.admin.columns import badge
from sidekick.admin.reasons import form_page

KINDS = {
    Grant.Kind.COURTESY: "info",
    Grant.Kind.ROLLOVER: "plain",
    Grant.Kind.ALLOCATION: "plain",
    Grant.Kind.PURCHASED: "good",
}


@admin.register(Grant)
class GrantAdmin(OfAnAccount):
    title = "Grants"
    list_display = [
        "id",
        columns.account,
        "of_kind",
        credit_column("amount"),
        credit_column("remaining"),
        credit_column("withdrawn"),
        "expires_at",
        "source_key",
        "created_at",
    ]
    list_filter = ["kind", ("expires_at", admin.EmptyFieldListFilter)]
    search_fields = ["account__email", "source_key"]
    dated_by = "created_at"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("give/", view(self.give), name="credits_grant_give"),
            path("<int:pk>/take-back/", view(self.take_back), name="credits_grant_take_back"),
            path("<int:pk>/restore/", view(self.restore), name="credits_grant_restore"),
            *super().get_urls(),
        ]

    @admin.display(description="Kind", ordering="kind")
    def of_kind(self, given: Grant) -> SafeString:
        return badge(given.get_kind_display(), KINDS[Grant.Kind(given.kind)])

    def has_give_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("credits.add_grant")

    def has_take_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("credits.change_grant")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        give = [("Give courtesy credits", reverse("admin:credits_grant_give"))]
        links = {"list_links": give if self.has_give_permission(request) else []}
        return super().changelist_view(request, {**links, **(extra_context or {})})

    def row_links(self, request: HttpRequest, obj: Grant) -> list[tuple[str, str]]:
        moves = []
        if self.has_take_permission(request):
            moves.append(("Take back credits", reverse("admin:credits_grant_take_back", args=[obj.pk])))
            if grants.taken_back(obj) > 0:
                moves.append(("Restore credits", reverse("admin:credits_grant_restore", args=[obj.pk])))
        return [*moves, *super().row_links(request, obj)]

    def give(self, request: HttpRequest) -> HttpResponse:
        """Give courtesy credits; the reason stands in the ledger."""
        if not self.has_give_permission(request):
            raise PermissionDenied
        # Links name the account by its id: addresses stand in logs, and emails should not.
        named = User.objects.named(request.GET.get("account", ""))
        form = CourtesyForm(request.POST or None, initial={"account": named.email if named else ""})
        if request.method == "POST" and form.is_valid():
            account, amount = form.cleaned_data["account"], form.cleaned_data["amount"]
            if _move(request, form, f"Gave {formatting.exact(amount)} courtesy credits", _courtesy):
                return redirect(columns.address_of(account.id))
        return form_page(self, request, form, title="Give courtesy credits", button="Give credits")

    def take_back(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take back credits of one grant; its spent part is charged to other grants or becomes debt."""
        given, form = self._of_one_grant(request, pk)
        if request.method == "POST" and form.is_valid():
            done = f"Took back {formatting.exact(form.cleaned_data['amount'])} credits of grant {given.pk}"
            if _move(request, form, done, lambda form, by: _voided(given, form, by)):
                return redirect(columns.address_of(given.account_id))
        most, unspent = formatting.exact(given.amount - given.withdrawn), formatting.exact(given.remaining)
        lead = (
            f"Of {given.account.email}’s grant of {formatting.exact(given.amount)} credits, {most} can be taken back; "
            f"{unspent} of them are unspent. What was spent is charged to the account’s other credits, or becomes debt."
        )
        return form_page(self, request, form, title="Take back credits", button="Take back credits", lead=lead)

    def restore(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Restore credits that were taken back by mistake."""
        given, form = self._of_one_grant(request, pk)
        if request.method == "POST" and form.is_valid():
            done = f"Restored {formatting.exact(form.cleaned_data['amount'])} credits of grant {given.pk}"
            if _move(request, form, done, lambda form, by: _restored(given, form, by)):
                return redirect(columns.address_of(given.account_id))
        taken = formatting.exact(grants.taken_back(given))
        lead = f"{taken} credits of this grant of {given.account.email} were taken back."
        return form_page(self, request, form, title="Restore credits", button="Restore credits", lead=lead)

    def _of_one_grant(self, request: HttpRequest, pk: int) -> tuple[Grant, MoveForm]:
        if not self.has_take_permission(request):
            raise PermissionDenied
        return get_object_or_404(Grant.objects.select_related("account"), pk=pk), MoveForm(request.POST or None)


def _move(
    request: HttpRequest, form: MoveForm, done: str, act: Callable[[MoveForm, User], LedgerEntry | Grant]
) -> bool:
    """Move credits and log it, once however often the form is sent; False, with an error in the form, if it fails."""
    operator: User = request.user  # type: ignore[assignment]
    try:
        # One transaction, so that the wallet stays locked until both are stored: of two copies of a form that come at
        # once, the second finds the line of the first.
        with transaction.atomic():
            _log_once(operator, act(form, operator), f"{done}: {form.cleaned_data['reason']}")
    except (NothingLeftToVoid, NothingToRestore) as error:
        form.add_error("amount", str(error))
        return False
    except SourceKeyReused:
        form.add_error("amount", "This form was sent before with another amount. Open it again to move more.")
        return False
    messages.success(request, f"{done}.")
    return True


def _log_once(operator: User, row: LedgerEntry | Grant, message: str) -> None:
    kind = ContentType.objects.get_for_model(row)
    if not LogEntry.objects.filter(content_type=kind, object_id=str(row.pk), action_flag=ADDITION).exists():
        LogEntry.objects.log_actions(operator.pk, [row], ADDITION, message, single_object=True)


def _courtesy(form: MoveForm, operator: User) -> Grant:
    data = form.cleaned_data
    return grants.grant(
        data["account"].id,
        data["amount"],
        kind=Grant.Kind.COURTESY,
        source_key=f"courtesy:{data['token']}",
        expires_at=data["expires_at"],
        reason=data["reason"],
        actor_id=operator.id,
    )


def _voided(given: Grant, form: MoveForm, operator: User) -> LedgerEntry:
    data = form.cleaned_data
    key = f"operator:{data['token']}"
    return grants.void(given, data["amount"], source_key=key, reason=data["reason"], actor_id=operator.id)


def _restored(given: Grant, form: MoveForm, operator: User) -> LedgerEntry:
    data = form.cleaned_data
    key = f"operator:{data['token']}"
    return grants.restore(given, data["amount"], source_key=key, reason=data["reason"], actor_id=operator.id)
