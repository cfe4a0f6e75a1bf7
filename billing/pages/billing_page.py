"""The Billing page: the plan, additional credits, and payments."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRedirect

from billing import checkout, subscriptions
from billing.models import Customer, PlanPrice, Purchase
from billing.pages import notices
from billing.pages.actions import Problem, show
from billing.pages.forms import CreditsForm, token_of
from billing.pages.payment_history import History
from billing.pages.plan_card import PlanCard
from billing.pages.purchase_progress import Progress, waiting_since
from billing.subscriptions import SubscriptionState
from sidekick.accounts.decorators import signed_in
from sidekick.accounts.http import Request
from sidekick.accounts.models import User
from sidekick.web.rendering import region_of

PAYMENTS_REGION, CREDITS_REGION = "payments", "additional-credits"
JUST_NOW = timedelta(hours=1)


@signed_in
@require_safe
def overview(request: Request) -> HttpResponse:
    if request.GET.get("checkout") in {"completed", "closed"}:
        return back_from_checkout(request)
    if region_of(request) == PAYMENTS_REGION:
        return render(request, "billing/_payments.html", _history(request))
    return show_billing(request)


@signed_in
@require_safe
def coming(request: Request) -> HttpResponse:
    """Whether the plan that was paid for is there, for a page that is open."""
    state = subscriptions.state_of(request.user)
    if state.coming is None:
        return HttpResponseClientRedirect(reverse("billing:overview"))
    return render(request, "billing/_coming.html", {"state": state})


def show_billing(request: Request, *, problem: Problem | None = None, form: CreditsForm | None = None) -> HttpResponse:
    """The Billing page with the problem of an action or a form, or only the panel that the form stands in."""
    account, now = request.user, timezone.now()
    state = subscriptions.state_of(account, now=now)
    status = 422 if form and form.errors else 200
    context: dict[str, Any] = {"title": "Billing", "state": state, **_credits(account, state, form)}
    # A refused form swaps its own panel only, and needs no more queries than that.
    if form and region_of(request) == CREDITS_REGION:
        return show(request, "overview", context, problem, fragment="billing/_credits.html", status=status)
    context |= {
        "card": PlanCard.for_state(state, account.zone),
        "notices": notices.for_state(state, account.zone, now),
        "has_portal": bool(customer_id_of(account)),
        "upgrades": [] if state.subscription else _upgrades(account, state),
        "token": token_of({}),
        **_history(request),
        **_pending(request, now),
    }
    return show(request, "overview", context, problem, status=status)


def back_from_checkout(request: Request) -> HttpResponse:
    if request.GET["checkout"] == "closed":
        messages.info(request, "The checkout is closed. Nothing was charged.")
    else:
        messages.success(request, "Thank you. It can take a minute until this page shows it.")
    return redirect("billing:overview")


def customer_id_of(account: User) -> str:
    """Paddle's customer that is this account, or nothing.

    It is not the customer who pays for the account's subscription: the checkout takes any email, proved or not, and
    the portal shows all that a customer has.
    """
    return str(Customer.objects.filter(account=account).values_list("id", flat=True).first() or "")


def _credits(account: User, state: SubscriptionState, form: CreditsForm | None) -> dict[str, Any]:
    """The panel of additional credits: a form, or why there is none."""
    why_not = checkout.why_not(account, state)
    if not why_not and form is None:
        price = PlanPrice.objects.per_credit().filter(plan=state.plan).first()
        form = CreditsForm(price) if price else None
    seller = PlanPrice.objects.per_credit().first() if not state.plan.may_buy_credits else None
    return {"why_not": why_not, "seller": seller, "form": None if why_not else form}


def _upgrades(account: User, state: SubscriptionState) -> list[PlanPrice]:
    return [price for price in subscriptions.choices(account, state) if price.interval == PlanPrice.Interval.MONTH]


def _history(request: Request) -> dict[str, Any]:
    found = History.for_account(request.user, request.GET.get("page", "1"), request.user.zone)
    return {"payments": found.payments, "pages": found.pages}


def _pending(request: Request, now: datetime) -> dict[str, Any]:
    """The newest purchase of this hour, while its payment is on its way."""
    newest = Purchase.objects.filter(account=request.user, created_at__gt=now - JUST_NOW).select_related("price__plan")
    bought = newest.first()
    if bought is None:
        return {}
    done = Progress.for_purchase(bought, completed=False, waited=timedelta(0))
    return {"purchase": bought, "progress": done, "since": waiting_since(request)} if done.step == "waiting" else {}
