"""The Credits tab: the cards, the requests behind them, and the same by model."""

from __future__ import annotations

import html
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe

from credits import figures, statistics
from credits.cards import Cards
from credits.filters import Filters
from credits.statistics import Balance, ModelUsage, UsagePage, UsageRow
from sidekick.accounts.decorators import signed_in
from sidekick.pages import Request, render_page
from sidekick.paging import Pages, number_of

USAGE_REGION = "usage"


@signed_in
@require_safe
def requests(request: Request) -> HttpResponse:
    """One page of requests, newest first (C3)."""
    zone = figures.zone_of(request.user.time_zone)
    with statistics.current_balance(request.user.id, timezone.now()) as balance:
        filters = Filters.read(request.GET, balance, zone)
        page, pages = _page(request, filters)
    table = {"rows": _rows(page.rows, zone), "pages": pages}
    return _render(request, "requests", balance, filters, page.models, table, errors=pages.errors)


@signed_in
@require_safe
def models(request: Request) -> HttpResponse:
    """Sums per model, with a total that equals the sum of the requests (C4)."""
    zone = figures.zone_of(request.user.time_zone)
    with statistics.current_balance(request.user.id, timezone.now()) as balance:
        filters = Filters.read(request.GET, balance, zone)
        sums = statistics.usage_by_model(request.user.id, filters.span)
    shown = [s for s in sums if filters.model in ("", s.model)]
    column, descending, errors = _sorting(request.GET.get("sort", "-credits"))
    shown.sort(key=lambda s: (getattr(s, column), s.model), reverse=descending)
    total = ModelUsage("Total", *(sum(figure) for figure in list(zip(*shown, strict=True))[1:])) if shown else None
    table = {
        "rows": [_model_row(s, total) for s in shown],
        "total": _model_row(total, total) if total else None,
        "columns": [_column(key, label, column, descending, filters) for key, label in COLUMNS],
    }
    return _render(request, "models", balance, filters, sums, table, errors=errors)


@signed_in
@require_safe
def balance(request: Request) -> HttpResponse:
    """The cards alone, for a page that is open (C10)."""
    with statistics.current_balance(request.user.id, timezone.now()) as balance:
        pass
    return render(
        request, "credits/_balance.html", {"cards": Cards.of(balance, figures.zone_of(request.user.time_zone))}
    )


def _page(request: Request, filters: Filters) -> tuple[UsagePage, Pages]:
    """The page that was asked for, or the first one where there is no such page."""
    asked = request.GET.get("page", "1")
    number = max(number_of(asked), 1)
    page = _find(request, filters, number)
    pages = Pages.of(page.count, asked, lambda number: filters.link(page=number) if number > 1 else filters.link())
    if number != pages.number:
        page = _find(request, filters, pages.number)
    return page, pages


def _find(request: Request, filters: Filters, number: int) -> UsagePage:
    return statistics.usage_page(request.user.id, filters.span, page=number, model=filters.model or None)


def _render(
    request: Request,
    view: str,
    balance: Balance,
    filters: Filters,
    sums: list[ModelUsage],
    table: dict[str, Any],
    *,
    errors: list[str],
) -> HttpResponse:
    only_usage = request.htmx.target == USAGE_REGION
    context = {
        "title": "Credits",
        "view": view,
        "cards": Cards.of(balance, filters.zone),
        "filters": filters,
        "models": sorted({s.model for s in sums} | ({filters.model} if filters.model else set())),
        "has_usage": bool(sums) or statistics.has_usage(balance.account_id),
        "errors": filters.errors + errors,
        **table,
    }
    fragment = f"credits/_{view}_table.html" if only_usage else "credits/_usage.html"
    return render_page(request, "credits/usage.html", context, fragment=fragment, invalid=bool(context["errors"]))


def _rows(rows: list[UsageRow], zone: ZoneInfo) -> SafeString:
    """All rows in one pass: cell by cell, Django's template took longer than all queries together.

    `_request_row.html` has the markup of one, with the places to fill numbered; every value is escaped.
    """
    markup = render_to_string("credits/_request_row.html")
    return mark_safe("".join([markup.format(*map(html.escape, _cells(row, zone))) for row in rows]))  # noqa: S308


def _cells(row: UsageRow, zone: ZoneInfo) -> tuple[str, ...]:
    moment = row.occurred_at.astimezone(zone)
    return (
        row.request_id,
        moment.isoformat(timespec="seconds"),
        figures.day(moment),
        figures.clock(moment),
        row.model,
        f"{row.input_tokens:,}",
        f"{row.output_tokens:,}",
        f"{row.cache_read_tokens:,}",
        f"{row.cache_write_tokens:,}",
        f"{row.total_tokens:,}",
        shown := figures.credits(row.credits),
        figures.exact(row.credits),
        _long(shown),
    )


def _long(shown: str) -> str:
    """A figure that would cover the heading of its row on a phone gets a line of its own."""
    return " long" if len(shown) > 9 else ""


COLUMNS = (
    ("model", "Model"),
    ("requests", "Requests"),
    ("input_tokens", "Input"),
    ("output_tokens", "Output"),
    ("cache_read_tokens", "Cache read"),
    ("cache_write_tokens", "Cache write"),
    ("credits", "Credits"),
)


def _sorting(asked: str) -> tuple[str, bool, list[str]]:
    column, descending = asked.removeprefix("-"), asked.startswith("-")
    if column in dict(COLUMNS):
        return column, descending, []
    return "credits", True, ["There is no such column to sort by; this is by credits."]


def _column(key: str, label: str, sorted_by: str, descending: bool, filters: Filters) -> dict[str, Any]:
    """A heading that sorts: numbers start with the largest, names with A; a second click turns it round."""
    down = not descending if key == sorted_by else key != "model"
    state = ("descending" if descending else "ascending") if key == sorted_by else ""
    return {
        "key": key,
        "label": label,
        "number": key != "model",
        "state": state,
        "link": filters.link(sort=f"-{key}" if down else key),
    }


def _model_row(usage: ModelUsage, total: ModelUsage | None) -> dict[str, str]:
    share = usage.credits / total.credits * 100 if total and total.credits else Decimal(0)
    return {
        "model": usage.model,
        "requests": f"{usage.requests:,}",
        "input": f"{usage.input_tokens:,}",
        "output": f"{usage.output_tokens:,}",
        "cache_read": f"{usage.cache_read_tokens:,}",
        "cache_write": f"{usage.cache_write_tokens:,}",
        "credits": (shown := figures.credits(usage.credits)),
        "long": _long(shown),
        "exact": figures.exact(usage.credits),
        "share": f"{share:.1f}",
        "bar": f"{share:.2f}",
    }
