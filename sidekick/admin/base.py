"""What every page of the operators' admin keeps to: nothing is deleted, and whatever is done says why.

Rooms register their tables with `ReadOnlyAdmin` or `ReasonedAdmin`, never with Django's own `ModelAdmin`. Who and
when stand in Django's admin log beside the reason.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from functools import reduce, wraps
from operator import or_
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import quote
from django.db.models import Model, Q, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from sidekick.admin.filters import BoundedPaginator, Dates

Act = Callable[[Any, HttpRequest, Any, str], HttpResponse | None]

# What one bulk action may touch: each row is locked, changed and logged by itself.
MOST_AT_ONCE = 500
KEY = re.compile(r"[a-z]{3}_[0-9a-z]+")


class Reason(forms.CharField):
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


class ReasonedForm(forms.ModelForm):  # type: ignore[type-arg]
    reason = Reason()


class OperatorAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What `ReadOnlyAdmin` and `ReasonedAdmin` share. Actions stand on the page of a row, too, as buttons."""

    show_full_result_count = False
    paginator = BoundedPaginator
    list_per_page = 50
    # What operators call the table, where its own name is another.
    title = ""
    # The moment by which its rows are looked through; `date_hierarchy` would read all of them first.
    dated_by = ""
    # Columns of type uuid that a search for a whole id looks into, by their index.
    id_fields: Sequence[str] = ()
    # Columns of ids such as txn_01h8…
    key_fields: Sequence[str] = ()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """A whole id is looked up by its index; anything else may be part of a text, and costs a look at every row."""
        wanted = search_term.strip()
        if self.key_fields and KEY.fullmatch(wanted):
            return queryset.filter(_any_of(self.key_fields, wanted)), False
        try:
            ours = uuid.UUID(wanted)
        except ValueError:
            return super().get_search_results(request, queryset, search_term)
        if not self.id_fields:
            return super().get_search_results(request, queryset, search_term)
        return queryset.filter(_any_of(self.id_fields, ours)), False

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        offered = super().get_list_filter(request)
        return [*offered, (self.dated_by, Dates)] if self.dated_by else list(offered)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """What the list's own filters ask, and nothing else.

        Django lets an address ask of any column of the table, letter by letter: of a password's hash, or of a code
        in an email that waits to be sent.
        """
        offered = set(map(_asks_of, self.get_list_filter(request)))
        return lookup.partition(LOOKUP_SEP)[0] in offered and super().lookup_allowed(lookup, value, request)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": self.heading(), **(extra_context or {})})

    def heading(self) -> str:
        return _capital(self.title or str(self.opts.verbose_name_plural))

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        if obj:
            offered: Iterable[Any] = self.get_actions(request).values()
            context["row_actions"] = [(name, words) for _, name, words in offered if self.offers(request, obj, name)]
            context["row_links"] = self.row_links(request, obj)
            context.update(title=str(obj), subtitle=_capital(str(self.opts.verbose_name)))
        return super().render_change_form(request, context, add, change, form_url, obj)

    def offers(self, request: HttpRequest, obj: Any, action: str) -> bool:
        """Whether an action makes sense for this row, so that its page has a button for it."""
        return True

    def within_reach(self, request: HttpRequest, queryset: Any) -> Any:
        """The rows that this operator's actions may touch."""
        return queryset

    def row_links(self, request: HttpRequest, obj: Any) -> list[tuple[str, str]]:
        """(label, address) of what stands on top of a row's page: where its account is."""
        account = getattr(obj, "account_id", None)
        return [("Account", address_of(account)), ("Timeline", timeline_of(account))] if account else []


class ReadOnlyAdmin(OperatorAdmin):
    """Rows that operators read. What may be done to them are actions, each with a permission of its own."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class OfAnAccount(ReadOnlyAdmin):
    """Rows that name the account they belong to."""

    list_select_related = ["account"]
    search_fields = ["account__email"]
    id_fields = ["account_id"]


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

    `permissions` are names as in `admin.action`: "close" asks the admin's `has_close_permission(request)`. What was
    asked for is logged for each row, with the reason, before anything is done.
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
    desk: OperatorAdmin, request: HttpRequest, form: forms.Form, *, title: str, button: str, lead: str = ""
) -> HttpResponse:
    """A form of one's own on a page of the admin; 422 where it was refused."""
    context = {
        **desk.admin_site.each_context(request),
        "title": title,
        "opts": desk.opts,
        "form": form,
        "button": button,
        "lead": lead,
    }
    return TemplateResponse(request, "admin/operators/form.html", context, status=422 if form.errors else 200)


@admin.display(description="Account", ordering="account__email")
def account(row: Any) -> SafeString | str:
    """A column that leads from a row to its account and to what happened to it; needs `list_select_related`."""
    if row.account_id is None:
        return "–"
    return account_links(row.account_id, row.account.email)


def account_links(account_id: uuid.UUID, email: str) -> SafeString:
    return format_html(
        '<a href="{}">{}</a> <a class="aside" href="{}">timeline</a>',
        address_of(account_id),
        email,
        timeline_of(account_id),
    )


def address_of(account_id: uuid.UUID) -> str:
    return reverse("admin:accounts_user_change", args=[account_id])


def timeline_of(account_id: uuid.UUID) -> str:
    return reverse("admin:accounts_user_timeline", args=[account_id])


def column(field: str, written: Callable[[Any], str], *, description: str = "") -> Callable[[Any], str]:
    """A column of numbers: `written` makes a row's value a string; it stands right (`admin.css` knows the names)."""

    @admin.display(description=description or field.replace("_", " ").capitalize(), ordering=field)
    def show(row: Any) -> str:
        return written(row)

    show.__name__ = field
    return show


def badge(words: str, tone: str = "plain") -> SafeString:
    """A state as a coloured word; tones are plain, good, warn, bad and info."""
    return format_html('<span class="badge {}">{}</span>', tone, words)


def _asks_of(offered: Any) -> str:
    """The column, or the parameter of its own, that an entry of `list_filter` looks at."""
    if isinstance(offered, type):
        return str(getattr(offered, "parameter_name", ""))
    name: str = offered[0] if isinstance(offered, (tuple, list)) else offered
    return name.partition(LOOKUP_SEP)[0]


def _any_of(columns: Sequence[str], value: object) -> Q:
    return reduce(or_, (Q((column, value)) for column in columns))


def _capital(words: str) -> str:
    """Not `capitalize`, which would make "AI model" an "Ai model"."""
    return words[0].upper() + words[1:]


def _without_reason(fields: Any) -> list[Any]:
    return [field for field in fields if field != "reason"]


def _ask_for_reason(
    desk: OperatorAdmin, request: HttpRequest, form: ReasonForm, rows: list[Any], description: str
) -> HttpResponse:
    context = {
        **desk.admin_site.each_context(request),
        "title": description,
        "opts": desk.opts,
        "form": form,
        "button": description,
        "rows": rows,
        "action": request.POST["action"],
        "checkbox": ACTION_CHECKBOX_NAME,
        "back": request.POST.get("back", ""),
        "cancel": _address(desk, rows[0]) if _is_from_a_row(request, rows) else request.get_full_path(),
    }
    return TemplateResponse(request, "admin/operators/reason.html", context, status=422 if form.is_bound else 200)


def _is_from_a_row(request: HttpRequest, rows: list[Any]) -> bool:
    return bool(request.POST.get("back")) and len(rows) == 1


def _back_to_the_row(desk: OperatorAdmin, request: HttpRequest, rows: list[Any]) -> HttpResponse | None:
    """Who pressed the button on a row's page returns there; None leads back to the list."""
    return redirect(_address(desk, rows[0])) if _is_from_a_row(request, rows) else None


def _address(desk: OperatorAdmin, row: Any) -> str:
    return reverse(f"{desk.admin_site.name}:{desk.opts.app_label}_{desk.opts.model_name}_change", args=[quote(row.pk)])
