"""The table of each view of usage, read from one state (C10), and what tells an open page that it changed (C12).

An open page asks with the tag of what it shows. The tag takes one query beside the balance, so that a page on which
nothing changed costs little; only then is a view read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from django.urls import reverse

from credits.pages import tables
from credits.pages.balance_cards import LiveCards
from credits.pages.chart import Chart
from credits.pages.filters import Filters
from credits.pages.sorting import USUAL, Sorting
from credits.reports import usage
from credits.reports.balance import Balance
from credits.reports.history import changes_in
from credits.reports.usage import ModelUsage, UsagePage
from sidekick import formatting
from sidekick.accounts.http import Request
from sidekick.web.etags import etag_of
from sidekick.web.pagination import Pages, number_of


class Used(NamedTuple):
    """Usage in the span of the filters, of all models. Requests are never taken away, so any new one changes it."""

    requests: int
    credits: Decimal

    @classmethod
    def sum_of(cls, sums: Sequence[ModelUsage]) -> Used:
        return cls(sum(each.requests for each in sums), sum((each.credits for each in sums), Decimal(0)))


class Reading(NamedTuple):
    """One view's table. `table` fills its template, `mark` changes with everything that it shows.

    `requests` are those that it is about. `place` are the parameters that led to it, `newest` those of its newest part.
    """

    table: dict[str, Any]
    used: Used
    models: list[str]
    requests: int
    mark: str
    place: dict[str, object]
    newest: dict[str, object]
    errors: list[str]


def requests(request: Request, balance: Balance, filters: Filters) -> Reading:
    page, pages = _find_page(request, filters)
    # Only the first page shows the chart: on the others a customer is looking for one request.
    chart = _chart(balance, filters) if pages.number == 1 else None
    shown = filters.of_model(page.models)
    return Reading(
        {"rows": tables.request_rows(page.rows, filters.zone), "pages": pages, "chart": chart},
        Used.sum_of(page.models),
        [each.model for each in page.models],
        pages.count,
        etag_of(filters.dates, filters.zone.key, pages.number, shown),
        {"page": pages.number} if pages.number > 1 else {},
        {},
        pages.errors,
    )


def models(request: Request, balance: Balance, filters: Filters) -> Reading:
    sums = usage.usage_by_model(balance.account_id, filters.span)
    chart, sorting = _chart(balance, filters), Sorting.from_query(request.GET.get("sort", USUAL))
    shown = sorting.apply(filters.of_model(sums))
    place: dict[str, object] = {} if sorting.usual else {"sort": sorting.parameter}
    return Reading(
        {"chart": chart, "columns": sorting.headings(filters.link), **tables.model_rows(shown, chart)},
        Used.sum_of(sums),
        [each.model for each in sums],
        sum(each.requests for each in shown),
        etag_of(filters.dates, filters.zone.key, place, shown),
        place,
        place,
        sorting.errors,
    )


def history(request: Request, balance: Balance, filters: Filters) -> Reading:
    changes = changes_in(balance, filters.span, filters.zone)
    used = Used(
        sum(change.requests for change in changes),
        sum((-change.change for change in changes if change.requests), Decimal(0)),
    )
    pages = Pages.for_count(len(changes), request.GET.get("page", "1"), filters.link_to_page)
    rows = [tables.change_row(change, filters.zone) for change in changes[pages.rows]]
    return Reading(
        {"rows": rows, "pages": pages},
        used,
        [],
        used.requests,
        etag_of(filters.dates, filters.zone.key, pages.number, changes),
        {"page": pages.number} if pages.number > 1 else {},
        {},
        pages.errors,
    )


READERS: dict[str, Callable[[Request, Balance, Filters], Reading]] = {
    "requests": requests,
    "models": models,
    "history": history,
}


def tag_before(request: Request, balance: Balance, filters: Filters) -> LiveCards:
    """The cards with the page's tag, before its table is read. One query."""
    return cards(request, balance, filters, Used.sum_of(usage.usage_by_model(balance.account_id, filters.span)))


def cards(request: Request, balance: Balance, filters: Filters, used: Used) -> LiveCards:
    return LiveCards.for_request(request, balance, filters.zone, filters.dates, used)


def context(request: Request, view: str, balance: Balance, filters: Filters) -> tuple[LiveCards, dict[str, Any]]:
    """All that the templates of a view show. One query more where nothing was used in the span."""
    reading = READERS[view](request, balance, filters)
    live = cards(request, balance, filters, reading.used)
    names = sorted({*reading.models, *([filters.model] if filters.model else [])})
    # History has something to choose from before the first request.
    has_usage = view == "history" or bool(reading.models) or usage.has_usage(balance.account_id)
    return live, {
        "title": "Credits",
        "view": view,
        "table_template": f"credits/_{view}_table.html",
        **live.context(),
        **live_at(filters.link(**reading.place, **({} if view == "requests" else {"view": view}))[1:]),
        "usage_tag": reading.mark,
        "usage_count": reading.requests,
        "newest": filters.link(**reading.newest),
        "filters": filters,
        "filters_tag": etag_of(names, has_usage),
        "models": [(name, formatting.spaced(name)) for name in names],
        "has_usage": has_usage,
        "errors": filters.errors + reading.errors,
        **reading.table,
    }


def live_at(query: str) -> dict[str, Any]:
    """`live_query` is the query string with which an open page asks for its regions, `live_url` the address."""
    asked = f"?{query}" if query else ""
    return {"live_query": asked, "live_url": reverse("credits:balance") + asked}


def _find_page(request: Request, filters: Filters) -> tuple[UsagePage, Pages]:
    """The page that was asked for, or the first one where there is no such page."""
    asked = request.GET.get("page", "1")
    number = max(number_of(asked), 1)
    page = _page(request, filters, number)
    pages = Pages.for_count(page.count, asked, filters.link_to_page)
    if number != pages.number:
        page = _page(request, filters, pages.number)
    return page, pages


def _page(request: Request, filters: Filters, number: int) -> UsagePage:
    return usage.usage_page(request.user.id, filters.span, page=number, model=filters.model or None)


def _chart(balance: Balance, filters: Filters) -> Chart | None:
    return Chart.for_span(balance.account_id, filters.span, filters.zone, model=filters.model or None)
