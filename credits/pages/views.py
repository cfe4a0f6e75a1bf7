"""The Credits tab: the cards, the requests behind them, the same by model, every change, and all of it as files."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST, require_safe

from credits.pages import exports, reading
from credits.pages.balance_cards import remember_dismissed
from credits.pages.filters import Filters
from credits.reports import alerts
from credits.reports.balance import current_balance
from sidekick.accounts.decorators import return_path, signed_in
from sidekick.accounts.http import Request
from sidekick.web import rate_limits
from sidekick.web.etags import has_seen
from sidekick.web.rendering import is_fragment, render_page


@signed_in
@require_safe
def requests(request: Request) -> HttpResponse:
    """One page of requests, newest first (C3)."""
    return _page(request, "requests")


@signed_in
@require_safe
def models(request: Request) -> HttpResponse:
    """Sums per model, with a total that equals the sum of the requests (C4)."""
    return _page(request, "models")


@signed_in
@require_safe
def history(request: Request) -> HttpResponse:
    """Every change of the balance, newest first, with the balance after it (C8); of all models."""
    return _page(request, "history")


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
    """The regions of a view's page that is open, all of one state (C10, C12); 304 while they are what it shows."""
    view = _view_of(request)
    with current_balance(request.user.id, timezone.now()) as balance:
        filters = Filters.from_query(request.GET, balance, request.user.zone)
        live = reading.tag_before(request, balance, filters) if "If-None-Match" in request.headers else None
        if live and has_seen(request, live.tag):
            response = HttpResponse(status=304)
        else:
            live, context = reading.context(request, view, balance, filters)
            response = render(request, "credits/_live.html", context)
    live.date(response)
    return response


@signed_in
@require_POST
def dismiss(request: Request, key: str) -> HttpResponse:
    """Put an alert away until the next period (C9)."""
    if key not in alerts.all_keys():
        raise Http404
    with current_balance(request.user.id, timezone.now()) as balance:
        filters = Filters.from_query(request.GET, balance, request.user.zone)
        response = HttpResponse() if is_fragment(request) else redirect(return_path(request))
        remember_dismissed(request, response, balance, key)
        if is_fragment(request):
            left = reading.tag_before(request, balance, filters)
            context = {**left.context(), **reading.live_at(request.GET.urlencode()), "dismissed": True}
            response.write(render_to_string("credits/_balance.html", context, request))
    return response


def _view_of(request: Request) -> str:
    view = request.GET.get("view", "requests")
    if view not in reading.READERS:
        raise Http404
    return view


def _page(request: Request, view: str) -> HttpResponse:
    """A view's page, its fragment, or its table with the cards of the same state."""
    with current_balance(request.user.id, timezone.now()) as balance:
        filters = Filters.from_query(request.GET, balance, request.user.zone)
        _, context = reading.context(request, view, balance, filters)
    return render_page(
        request,
        f"credits/{view}.html",
        context,
        fragment=f"credits/_{view}.html",
        regions={"usage": "credits/_region.html"},
        status=422 if context["errors"] else 200,
    )
