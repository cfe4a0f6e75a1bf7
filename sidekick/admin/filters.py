"""Filters and pages of the operators' lists, at the same cost however many rows a table has.

Django's own read the whole table first: for its days, its values, its number of rows.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from dateutil.relativedelta import relativedelta
from django.contrib.admin import AllValuesFieldListFilter, DateFieldListFilter, FieldListFilter
from django.core.paginator import Paginator
from django.db.models import CharField, Field
from django.utils import timezone
from django.utils.functional import cached_property

MONTHS = 12
YEARS = 2


class BoundedPaginator(Paginator):
    """Counts no further than anybody would turn pages: a table of millions costs what one of thousands does."""

    MOST = 10_000

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: self.MOST].count())


class Dates(DateFieldListFilter):
    """Today, the last week, months back from this one, and the years before; all in UTC."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        month = timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        months = [month - relativedelta(months=back) for back in range(MONTHS)]
        years = [month.replace(month=1) - relativedelta(years=back) for back in range(1, YEARS + 1)]
        self.links = (
            *self.links[:3],
            *(self._link(f"{start:%B %Y}", start, relativedelta(months=1)) for start in months),
            *(self._link(f"{start:%Y}", start, relativedelta(years=1)) for start in years),
        )

    def _link(
        self, title: str, start: datetime, length: relativedelta
    ) -> tuple[str, dict[str, bool | date | datetime]]:
        return title, {self.lookup_kwarg_since: start, self.lookup_kwarg_until: start + length}


class LatestValues(AllValuesFieldListFilter):
    """The values that the newest rows have. An address may ask for any other."""

    MOST = 10_000

    def __init__(
        self, field: Field[Any, Any], request: Any, params: Any, model: Any, model_admin: Any, field_path: str
    ) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        order = model_admin.get_ordering(request) or model._meta.ordering or ["-pk"]
        newest = model_admin.get_queryset(request).order_by(*order).values_list(field_path, flat=True)[: self.MOST]
        choices: Any = sorted(set(newest), key=str)
        self.lookup_choices = choices


def _has_words_of_its_own(field: Any) -> bool:
    return isinstance(field, CharField) and not field.choices


# For every list, so that none can forget it.
FieldListFilter.register(_has_words_of_its_own, LatestValues, take_priority=True)
