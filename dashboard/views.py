"""Pages outside the three sections: home and pricing, and the choice of a theme."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from billing.models import PlanPrice
from billing.pages.offers import offers_for
from credits.reports.rate_card import TYPICAL_INPUT, TYPICAL_OUTPUT, what_a_credit_buys
from dashboard import owners_pages
from dashboard.context import THEME_COOKIE, THEMES
from sidekick.web.rendering import is_fragment
from sidekick.web.return_paths import path_here


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    if reverse("dashboard:home") != settings.HOME_URL:
        return redirect(settings.HOME_URL)
    return render(request, "dashboard/home.html", _plans(request))


@require_safe
def pricing(request: HttpRequest) -> HttpResponse:
    if reverse("dashboard:pricing") != settings.PRICING_URL:
        return redirect(settings.PRICING_URL)
    context = {
        "title": "Pricing",
        "credit": PlanPrice.objects.per_credit().first(),
        "buys": what_a_credit_buys(timezone.now()),
        "typical": {"input": TYPICAL_INPUT, "output": TYPICAL_OUTPUT},
        **_plans(request),
    }
    return render(request, "dashboard/pricing.html", context)


@require_safe
def placeholder(request: HttpRequest, page: str) -> HttpResponse:
    """Stands where the owner's terms, privacy policy or support will be."""
    setting = owners_pages.SETTINGS.get(page)
    if setting is None:
        raise Http404
    if address := getattr(settings, setting):
        return HttpResponseRedirect(address)
    return render(request, "dashboard/placeholder.html", {"title": page.capitalize(), "setting": setting})


@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    return redirect("credits:requests")


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember the chosen theme (N5). A script gets an event, a form goes back to the page it was sent from."""
    choice = request.POST.get("theme", "")
    if choice not in THEMES:
        raise BadRequest("no such theme")
    if is_fragment(request):
        response = trigger_client_event(HttpResponse(status=204), "sidekick:theme", {"value": choice})
    else:
        response = redirect(path_here(request, request.POST.get("next", "")) or "dashboard:home")
    response.set_cookie(
        THEME_COOKIE,
        choice,
        timedelta(days=365),
        secure=settings.PRODUCTION,
        # Not HttpOnly: scripts read it where Back brings a page of before.
        samesite="Lax",
    )
    return response


def _plans(request: HttpRequest) -> dict[str, Any]:
    # The token makes one purchase of a button that is pressed twice.
    return {"offers": offers_for(request.user), "token": uuid.uuid4()}
