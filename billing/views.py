from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from billing.models import PlanPrice
from sidekick.accounts.decorators import signed_in
from sidekick.pages import Request, render_page


@signed_in
@require_safe
def billing(request: Request) -> HttpResponse:
    context = {"title": "Billing", "prices": PlanPrice.objects.per_month()}
    return render_page(request, "billing/billing.html", context, fragment="billing/_billing.html")
