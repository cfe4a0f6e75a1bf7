"""The Credits tab: the cards, the requests behind them, the same by model, every change, and all of it as files."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST, require_safe

from credits.pages import exports, tables
from credits.pages.balance_cards import LiveCards, remember_dismissed
from credits.pages.chart import Chart
from credits.pages.filters import Filters
from credits.pages.sorting import Sorting
from credits.reports import alerts, usage
from credits.reports.balance import Balance, current_balance
from credits.reports.history import changes_in
from credits.reports.usage import ModelUsage, UsagePage
from sidekick.accounts.decorators import return_path, signed_in
from sidekick.accounts.http import Request
from sidekick.web import rate_limits
from sidekick.web.etags import has_seen
from sidekick.web.pagination import Pages, number_of
from sidekick.web.rendering import is_fragment, render_page


@signed_in
@require_safe
def requests(request: Request) -> HttpResponse:
    """One page of requests, newest first (C3)."""
    with current_balance(request.user.id, timezone.now()) as balance:
        filters = Filters.from_query(request.GET, balance, request.user.zone)
        page, pages = _find_page(request, filters)
        # Only the first page shows the chart: on the others a customer is looking for one request.
        chart = _chart(request, filters) if pages.number == 1 else None
    table = {"rows": tables.request_rows(page.rows, filters.zone), "pages": pages, "chart": chart}
    return _render(request, "requests", balance, filters, page.models, table, errors=pages.errors)


@signed_in
@require_safe
def models(request: Request) -> HttpResponse:
    """Sums per model, with a total that equals the sum of the requests (C4)."""
    with current_balance(request.user.id, timezone.now()) as balance:
        filters = Filters.from_query(request.GET, balance, request.user.zone)
        sums = usage.usage_by_model(request.user.id, filters.span)
        chart = _chart(request, filters)
    sorting = Sorting.from_query(request.GET.get("sort", "-credits"))
    shown = sorting.apply(filters.of_model(sums))
    table = {"chart": chart, "columns": sorting.headings(filters.link), **tables.model_rows(shown, chart)}
    return _render(request, "models", balance, filters, sums, table, errors=sorting.errors)


@signed_in
@require_safe
def history(request: Request) -> HttpResponse:
    """Every change of the balance, newest first, with the balance after it (C8); of all models."""
    with current_balance(request.user.id, timezone.now()) as balance:
        filters = Filters.from_query(request.GET, balance, request.user.zone)
        changes = changes_in(balance, filters.span, filters.zone)
    pages = Pages.for_count(len(changes), request.GET.get("page", "1"), filters.link_to_page)
    table = {"rows": [tables.change_row(change, filters.zone) for change in changes[pages.rows]], "pages": pages}
    return _render(request, "history", balance, filters, [], table, errors=pages.errors)


@signed_in
@require_GET
def export(request: Request, view: str) -> HttpResponseBase:
    """All pages of a view as one CSV file, or back to the view where its filters make no sense (C7)."""
    if view not in exports.FILES:
        raise Http404
    if not rate_limits.allow(request, "export"):
        return rate_limits.refuse(request)
    with current_balance(request.user.id, timezone.now()) as balance:
        filters = Filters.from_query(request.GET, balance, request.user.zone)
        try:
            if not filters.errors:
                return exports.download(view, balance, filters)
        except exports.ExportRefused as refused:
            messages.error(request, str(refused))
    address = reverse(f"credits:{view}")
    return redirect(f"{address}?{request.GET.urlencode()}")


@signed_in
@require_safe
def balance(request: Request) -> HttpResponse:
    """The cards alone, for a page that is open (C10); 304 while they are what it shows."""
    live = _live(request)
    if has_seen(request, live.tag):
        response = HttpResponse(status=304)
    else:
        response = render(request, "credits/_balance.html", live.context())
    response.headers["ETag"] = live.tag
    response.headers["Sidekick-As-Of"] = live.as_of.isoformat(timespec="seconds")
    return response


@signed_in
@require_POST
def dismiss(request: Request, key: str) -> HttpResponse:
    """Put an alert away until the next period (C9)."""
    if key not in alerts.all_keys():
        raise Http404
    live = _live(request)
    response = HttpResponse() if is_fragment(request) else redirect(return_path(request))
    remember_dismissed(request, response, live.balance, key)
    if is_fragment(request):
        left = LiveCards.for_request(request, live.balance, live.zone)
        response.write(render_to_string("credits/_balance.html", left.context() | {"dismissed": True}, request))
    return response


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


def _chart(request: Request, filters: Filters) -> Chart | None:
    return Chart.for_span(request.user.id, filters.span, filters.zone, model=filters.model or None)


def _live(request: Request) -> LiveCards:
    with current_balance(request.user.id, timezone.now()) as balance:
        pass
    return LiveCards.for_request(request, balance, request.user.zone)


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
    """A view's page, its fragment or its table alone. `sums` are by model, before one is chosen."""
    context = {
        "title": "Credits",
        "view": view,
        **LiveCards.for_request(request, balance, filters.zone).context(),
        "filters": filters,
        "models": sorted({s.model for s in sums} | ({filters.model} if filters.model else set())),
        # History has something to choose from before the first request.
        "has_usage": view == "history" or bool(sums) or usage.has_usage(balance.account_id),
        "errors": filters.errors + errors,
        **table,
    }
    return render_page(
        request,
        f"credits/{view}.html",
        context,
        fragment=f"credits/_{view}.html",
        regions={"usage": f"credits/_{view}_table.html"},
        status=422 if context["errors"] else 200,
    )
