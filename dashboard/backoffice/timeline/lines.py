"""A line of the timeline, and the sources that lines are read from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin.utils import quote
from django.db.models import Model, QuerySet
from django.urls import reverse

from sidekick.accounts.models import User


@dataclass(frozen=True, slots=True)
class Line:
    """`at` is in UTC; `link` leads to the row in the admin, `by` is the email of the operator who did it."""

    at: datetime
    kind: str
    words: str
    detail: str = ""
    by: str = ""
    link: str = ""
    tone: str = "plain"
    whole_day: bool = False
    parts: tuple[str, ...] = ()


Lines = Iterable[Line]


@dataclass(frozen=True, slots=True)
class Source:
    """`read(account, until, most)` returns lines up to `until` inclusive, newest first, by one query at most.

    Operators without the permission see none of them.
    """

    kind: str
    permission: str
    read: Callable[[User, datetime, int], Lines]


def newest(rows: QuerySet[Any], column: str, until: datetime, most: int) -> QuerySet[Any]:
    return rows.filter(**{f"{column}__lte": until}).order_by(f"-{column}", "-pk")[:most]


def link_to(row: Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[quote(row.pk)])
