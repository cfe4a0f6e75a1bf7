"""The Credits tab: the cards, the requests behind them, the same by model, every change, and all of it as files."""

from __future__ import annotations

import html
from collections.abc import Callable
from decimal import Decimal
from typing import IO, Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_GET, require_POST, require_safe

from credits.pages import chart
from credits.pages.chart import Chart
from credits.pages.filters import Filters
from credits.pages.live import Live
from credits.pages.live import dismiss as put_away
from credits.reports import alerts, csv_export
from credits.reports import history as changes
from credits.reports import usage as reports_usage
from credits.reports.history import Change
from credits.reports.usage import Balance, ModelUsage, UsagePage, UsageRow
from sidekick import formatting
from sidekick.accounts.decorators import return_path, signed_in
from sidekick.accounts.http import Request
from sidekick.web import rate_limits
from sidekick.web.etags import has_seen
from sidekick.web.pagination import Pages, number_of
from sidekick.web.rendering import is_fragment, render_page

USAGE_REGION = "usage"
BLOCK = 64 * 1024


@signed_in
@require_safe
def requests(request: Request) -> HttpResponse:
    """One page of requests, newest first (C3)."""
    zone = request.user.zone
    with reports_usage.current_balance(request.user.id, timezone.now()) as balance:
        filters = Filters.read(request.GET, balance, zone)
        page, pages = _page(request, filters)
        # Who turns pages looks for a request: the picture would stand in the way.
        drawn = _chart(request, filters) if pages.number == 1 else None
    table = {"rows": _rows(page.rows, zone), "pages": pages, "chart": drawn}
    return _render(request, "requests", balance, filters, page.models, table, errors=pages.errors)


@signed_in
@require_safe
def models(request: Request) -> HttpResponse:
    """Sums per model, with a total that equals the sum of the requests (C4)."""
    zone = request.user.zone
    with reports_usage.current_balance(request.user.id, timezone.now()) as balance:
        filters = Filters.read(request.GET, balance, zone)
        sums = reports_usage.usage_by_model(request.user.id, filters.span)
        drawn = _chart(request, filters)
    shown = [s for s in sums if filters.model in ("", s.model)]
    column, descending, errors = _sorting(request.GET.get("sort", "-credits"))
    shown.sort(key=lambda s: (getattr(s, column), s.model), reverse=descending)
    total = ModelUsage("Total", *(sum(figure) for figure in list(zip(*shown, strict=True))[1:])) if shown else None
    colours = drawn.colours if drawn else {}
    table = {
        "chart": drawn,
        "rows": [_model_row(s, total) | {"colour": colours.get(s.model, chart.REST)} for s in shown],
        "total": _model_row(total, total) if total else None,
        "columns": [_column(key, label, column, descending, filters) for key, label in COLUMNS],
    }
    return _render(request, "models", balance, filters, sums, table, errors=errors)


@signed_in
@require_safe
def history(request: Request) -> HttpResponse:
    """Every change of the balance, newest first, with the balance after it (C8). Models don't matter to it."""
    zone = request.user.zone
    with reports_usage.current_balance(request.user.id, timezone.now()) as balance:
        filters = Filters.read(request.GET, balance, zone)
        lines = changes.of(balance, filters.span, zone)
    pages = Pages.of(len(lines), request.GET.get("page", "1"), _link_of(filters))
    table = {"rows": [_change_row(line, zone) for line in lines[pages.rows]], "pages": pages}
    return _render(request, "history", balance, filters, [], table, errors=pages.errors)


@signed_in
@require_GET
def export(request: Request, view: str) -> HttpResponseBase:
    """What a view shows in all its pages, as a CSV file; back to the view where its filters make no sense (C7)."""
    if view not in EXPORTS:
        raise Http404
    if not rate_limits.allow(request, "export"):
        return rate_limits.refuse(request)
    zone = request.user.zone
    with reports_usage.current_balance(request.user.id, timezone.now()) as balance:
        filters = Filters.read(request.GET, balance, zone)
        sums = reports_usage.usage_by_model(request.user.id, filters.span)
        shown = [s for s in sums if filters.model in ("", s.model)]
        refusal = _too_long(shown) if view == "requests" else ""
        if not refusal and not csv_export.alone(balance.account_id):
            refusal = "Your other file is still being made. Try again in a moment."
        if not filters.errors and not refusal:
            return _download(_written(view, balance, filters, shown), f"sidekick-{view}-{filters.dates_in_name}.csv")
    if refusal:
        messages.error(request, refusal)
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
    """Put a notice away until the next period (C9)."""
    if key not in alerts.all_keys():
        raise Http404
    live = _live(request)
    response = HttpResponse() if is_fragment(request) else redirect(return_path(request))
    put_away(request, response, live.balance, key)
    if is_fragment(request):
        left = Live.of(request, live.balance, live.zone)
        response.write(render_to_string("credits/_balance.html", left.context() | {"dismissed": True}, request))
    return response


def _live(request: Request) -> Live:
    with reports_usage.current_balance(request.user.id, timezone.now()) as balance:
        pass
    return Live.of(request, balance, request.user.zone)


EXPORTS = {"requests", "models", "history"}


def _too_long(sums: list[ModelUsage]) -> str:
    count = sum(usage.requests for usage in sums)
    if count <= csv_export.MOST_ROWS:
        return ""
    return f"That is {count:,} requests, and a spreadsheet holds {csv_export.MOST_ROWS:,}. Choose fewer days."


def _written(view: str, balance: Balance, filters: Filters, sums: list[ModelUsage]) -> IO[bytes]:
    if view == "requests":
        model = filters.model or None
        return csv_export.requests(balance.account_id, filters.span, model=model)
    if view == "models":
        return csv_export.models(sums)
    return csv_export.history(changes.of(balance, filters.span, filters.zone), filters.zone)


def _download(file: IO[bytes], name: str) -> HttpResponseBase:
    """With its length, so that a broken download is seen to be one.

    A small file goes as one piece, which the server takes over at once; a large one holds this thread until it is sent.
    """
    size = file.tell()
    file.seek(0)
    if size <= csv_export.IN_MEMORY:
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(size)}
        return HttpResponse(file.read(), content_type="text/csv; charset=utf-8", headers=headers)
    response = FileResponse(file, as_attachment=True, filename=name, content_type="text/csv; charset=utf-8")
    response.block_size = BLOCK
    return response


def _chart(request: Request, filters: Filters) -> Chart | None:
    return chart.of(request.user.id, filters.span, filters.zone, model=filters.model or None)


def _link_of(filters: Filters) -> Callable[[int], str]:
    return lambda number: filters.link(page=number) if number > 1 else filters.link()


def _page(request: Request, filters: Filters) -> tuple[UsagePage, Pages]:
    """The page that was asked for, or the first one where there is no such page."""
    asked = request.GET.get("page", "1")
    number = max(number_of(asked), 1)
    page = _find(request, filters, number)
    pages = Pages.of(page.count, asked, _link_of(filters))
    if number != pages.number:
        page = _find(request, filters, pages.number)
    return page, pages


def _find(request: Request, filters: Filters, number: int) -> UsagePage:
    return reports_usage.usage_page(request.user.id, filters.span, page=number, model=filters.model or None)


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
    fragment = f"credits/_{view}_table.html"
    context = {
        "title": "Credits",
        "view": view,
        "table": fragment,
        **Live.of(request, balance, filters.zone).context(),
        "filters": filters,
        "models": sorted({s.model for s in sums} | ({filters.model} if filters.model else set())),
        # History has something to choose from before the first request.
        "has_usage": view == "history" or bool(sums) or reports_usage.has_usage(balance.account_id),
        "errors": filters.errors + errors,
        **table,
    }
    fragment = fragment if only_usage else "credits/_usage.html"
    return render_page(
        request, "credits/usage.html", context, fragment=fragment, status=422 if context["errors"] else 200
    )


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
        formatting.day(moment),
        formatting.clock(moment),
        row.model,
        f"{row.input_tokens:,}",
        f"{row.output_tokens:,}",
        f"{row.cache_read_tokens:,}",
        f"{row.cache_write_tokens:,}",
        f"{row.total_tokens:,}",
        shown := formatting.credits(row.credits),
        formatting.exact(row.credits),
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


def _change_row(line: Change, zone: ZoneInfo) -> dict[str, Any]:
    moment = line.at.astimezone(zone)
    return {
        "what": line.what,
        "note": line.note,
        "day": formatting.day(line.day or moment),
        "clock": "" if line.day else formatting.clock(moment)[:5],
        "iso": line.day.isoformat() if line.day else moment.isoformat(timespec="seconds"),
        "change": (shown := formatting.change(line.change)),
        "long": _long(shown),
        "change_exact": formatting.exact(line.change),
        "balance": formatting.credits(line.balance),
        "balance_exact": formatting.exact(line.balance),
        "gain": line.change > 0,
        "requests": f"?range=custom&from={line.day}&to={line.day}" if line.whole else "",
        "paid": line.paid,
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
        "credits": (shown := formatting.credits(usage.credits)),
        "long": _long(shown),
        "exact": formatting.exact(usage.credits),
        "share": f"{share:.1f}",
        "bar": f"{share:.2f}",
    }
