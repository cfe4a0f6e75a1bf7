"""Changes by operators, each with its reason. The admin's log holds the reason, the operator and the time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import quote
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from sidekick.admin.base import OperatorAdmin
from sidekick.fields import TrimmedField

Act = Callable[[Any, HttpRequest, Any, str], HttpResponse | None]
# Rows of one bulk action: each is locked, changed and logged by itself.
MOST_AT_ONCE = 500


class Reason(TrimmedField):
    """Why an operator does something: a sentence that others read in the log later."""

    def __init__(self, **kwargs: Any) -> None:
        defaults: dict[str, Any] = {
            "min_length": 3,
            "max_length": 500,
            "help_text": "Why? It stays in the operator log, with your name and the time.",
            "widget": forms.Textarea(attrs={"rows": 2}),
        }
        super().__init__(**{**defaults, **kwargs})


class ReasonForm(forms.Form):
    reason = Reason()


class ReasonedForm(forms.ModelForm):
    reason = Reason()


class ReasonedAdmin(OperatorAdmin):
    """Rows that operators add or change with a reason. A `form` of one's own is extended by the reason."""

    def __init__(self, model: type[Model], admin_site: admin.AdminSite) -> None:
        if not issubclass(self.form, ReasonedForm):
            self.form = type(self.form.__name__, (ReasonedForm, self.form), {})
        super().__init__(model, admin_site)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """The reason comes last, and only where something can be saved."""
        fieldsets = [
            (name, {**options, "fields": _without_reason(options["fields"])})
            for name, options in super().get_fieldsets(request, obj)
        ]
        saves = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        return [*fieldsets, (None, {"fields": ["reason"], "classes": ["reason"]})] if saves else fieldsets

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> str:  # type: ignore[override]
        """Django's sentence about what changed, and the reason. It starts with a word, so nobody takes it for JSON."""
        form.changed_data = _without_reason(form.changed_data)
        changed = super().construct_change_message(request, form, formsets, add)
        return f"{LogEntry(change_message=json.dumps(changed)).get_change_message()} {form.cleaned_data['reason']}"


def reasoned_action(*, description: str, permissions: Sequence[str]) -> Callable[[Act], Any]:
    """A bulk action `act(self, request, queryset, reason)` that asks for the reason on a page of its own first.

    `permissions` are names as in `admin.action`: "close" asks the admin's `has_close_permission(request)`. The action
    and its reason are logged for each row before anything is done.
    """

    def decorate(act: Act) -> Any:
        @admin.action(description=description, permissions=permissions)
        @wraps(act)
        def ask(self: OperatorAdmin, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
            rows = list(self.within_reach(request, queryset)[: MOST_AT_ONCE + 1])
            if not 0 < len(rows) <= MOST_AT_ONCE:
                messages.error(request, f"Choose 1 to {MOST_AT_ONCE} rows that you may change.")
                return None
            form = ReasonForm(request.POST if "reason" in request.POST else None)
            if not form.is_valid():
                return _ask_for_reason(self, request, form, rows, description)
            reason = form.cleaned_data["reason"]
            operator: Any = request.user.pk
            LogEntry.objects.log_actions(operator, rows, CHANGE, f"{description}: {reason}")
            chosen = self.get_queryset(request).filter(pk__in=[row.pk for row in rows])
            return act(self, request, chosen, reason) or _back_to_the_row(self, request, rows)

        return ask

    return decorate


def form_page(
    model_admin: OperatorAdmin, request: HttpRequest, form: forms.Form, *, title: str, button: str, lead: str = ""
) -> HttpResponse:
    """A form of one's own on a page of the admin; 422 where it was refused."""
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.opts,
        "form": form,
        "button": button,
        "lead": lead,
    }
    return TemplateResponse(request, "admin/operators/form.html", context, status=422 if form.errors else 200)


def _without_reason(fields: Any) -> list[Any]:
    return [field for field in fields if field != "reason"]


def _ask_for_reason(
    model_admin: OperatorAdmin, request: HttpRequest, form: ReasonForm, rows: list[Any], description: str
) -> HttpResponse:
    context = {
        **model_admin.admin_site.each_context(request),
        "title": description,
        "opts": model_admin.opts,
        "form": form,
        "button": description,
        "rows": rows,
        "action": request.POST["action"],
        "checkbox": ACTION_CHECKBOX_NAME,
        "back": request.POST.get("back", ""),
        "cancel": _address(model_admin, rows[0]) if _is_from_a_row(request, rows) else request.get_full_path(),
    }
    return TemplateResponse(request, "admin/operators/reason.html", context, status=422 if form.is_bound else 200)


def _is_from_a_row(request: HttpRequest, rows: list[Any]) -> bool:
    return bool(request.POST.get("back")) and len(rows) == 1


def _back_to_the_row(model_admin: OperatorAdmin, request: HttpRequest, rows: list[Any]) -> HttpResponse | None:
    """Back to the row's page, where the button was pressed on it; None leads to the list."""
    return redirect(_address(model_admin, rows[0])) if _is_from_a_row(request, rows) else None


def _address(model_admin: OperatorAdmin, row: Any) -> str:
    return reverse(
        f"{model_admin.admin_site.name}:{model_admin.opts.app_label}_{model_admin.opts.model_name}_change",
        args=[quote(row.pk)],
    )
