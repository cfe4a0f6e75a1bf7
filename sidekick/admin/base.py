"""Tables as operators see them: nothing is deleted, and nothing is changed without an action or a reason.

Apps register their tables with `ReadOnlyAdmin` or `reasons.ReasonedAdmin`, never with Django's own `ModelAdmin`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG, ChangeList
from django.core.exceptions import BadRequest
from django.db.models import DecimalField, IntegerField, Model, Q, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest, HttpResponse

from sidekick.admin import columns
from sidekick.admin.filters import BoundedPaginator, Dates
from sidekick.typed_numbers import AmountField, WholeNumberField

KEY = re.compile(r"[a-z]{3}_[0-9a-z]+")
# Django's filters ask of a column: its value, its absence, a span of time, the key of a related row.
LOOKUPS = {"", "exact", "isnull", "isempty", "gte", "lt", "id__exact", "slug__exact"}
PLAIN_NUMBERS: dict[Any, Any] = {
    IntegerField: {"form_class": WholeNumberField},
    DecimalField: {"form_class": AmountField},
}


class OperatorAdmin(admin.ModelAdmin):
    """The base of `ReadOnlyAdmin` and `ReasonedAdmin`. Actions stand on the page of a row, too, as buttons."""

    formfield_overrides = PLAIN_NUMBERS
    show_full_result_count = False
    paginator = BoundedPaginator
    list_per_page = 50
    # The table's name for operators, where it is not the model's.
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
        """Allow the lookups of the list's own filters only."""
        # Django lets an address ask about any column of the table, character by character: about a password's hash,
        # or about a code in an email that waits to be sent. Some of its lookups make PostgreSQL fail.
        offered = set(map(_asks_of, self.get_list_filter(request)))
        column, _, kind = lookup.partition(LOOKUP_SEP)
        asked = column in offered and kind in LOOKUPS and self._is_choice(column, kind, value)
        return asked and super().lookup_allowed(lookup, value, request)

    def _is_choice(self, column: str, kind: str, value: str) -> bool:
        """Whether the column can have this value. PostgreSQL fails for one that is none of an enum's."""
        choices = next((field.flatchoices for field in self.opts.fields if field.name == column), [])
        return kind not in {"", "exact"} or not choices or value in {str(choice) for choice, _ in choices}

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row. An empty `_to_field`, which Django takes for a column's name, is none."""
        return super().get_object(request, object_id, from_field or None)

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """The list that an address asks for. Raises `BadRequest` where no link or form of ours asks for it."""
        if any(len(values) > 1 for _, values in request.GET.lists()):
            raise BadRequest("a parameter twice")
        try:
            return super().get_changelist_instance(request)
        except IncorrectLookupParameters as error:
            # Django leads to the whole list, with this flag. The second time, it would blame the database.
            if ERROR_FLAG in request.GET:
                raise BadRequest("no such list") from error
            raise

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
        return [("Account", columns.address_of(account)), ("Timeline", columns.timeline_of(account))] if account else []


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
