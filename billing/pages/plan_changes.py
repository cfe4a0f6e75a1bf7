"""Changing, cancelling, keeping and resuming a plan.

The subscription is always that of the signed-in account; an id from the browser chooses a price only (B10).
"""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods, require_safe

from billing import subscriptions
from billing.models import PlanPrice
from billing.paddle.api import PaddleFault
from billing.pages import consequences
from billing.pages.actions import Problem, check_rate, posted, show
from billing.pages.billing_page import show_billing
from billing.refusals import ActionRefused
from credits.models import Plan
from sidekick.accounts.decorators import signed_in
from sidekick.accounts.http import Request


@signed_in
@require_safe
def plan(request: Request) -> HttpResponse:
    """The plans to change to (B6)."""
    state = subscriptions.state_of(request.user)
    if not state.may_change:
        return redirect("billing:overview")
    context = {"title": "Change plan", "state": state, "choices": subscriptions.choices(request.user, state)}
    return show(request, "plan", context)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def change_plan(request: Request, price_id: int) -> HttpResponse:
    """Paddle's preview of the charge for another plan, and the change itself (B6)."""
    price = get_object_or_404(PlanPrice.objects.for_sale(), pk=price_id)
    problem: Problem | None = None
    if request.method == "POST":
        try:
            subscriptions.change(request.user, price)
        except (ActionRefused, PaddleFault) as fault:
            problem = fault
        else:
            messages.success(request, f"Your plan changes to {price.plan.name}.")
            return redirect("billing:overview")
    # A refused change is previewed again: its reason may be gone, and the button stays.
    state, words = subscriptions.state_of(request.user), []
    try:
        check_rate(request, "paddle")
        preview = subscriptions.preview(request.user, price)
        words = consequences.of_change(preview, price, state, request.user.zone)
    except (ActionRefused, PaddleFault) as fault:
        problem = problem or fault
    context = {"title": f"Change to {price.plan.name}", "state": state, "price": price, "words": words}
    return show(request, "change_plan", context, problem)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request: Request) -> HttpResponse:
    """The consequences and their dates, then the cancellation itself (B2)."""
    state, problem = subscriptions.state_of(request.user), None
    if request.method == "POST":
        try:
            subscriptions.cancel(request.user)
        except (ActionRefused, PaddleFault) as fault:
            problem = fault
        else:
            later = "" if state.may_resume else " Nothing changes until it ends."
            messages.success(request, f"Your subscription is canceled.{later}")
            return redirect("billing:overview")
    elif not state.may_cancel:
        return redirect("billing:overview")
    name = state.price.plan.name if state.price else "subscription"
    words = consequences.of_cancellation(state, Plan.objects.get(slug=Plan.FREE), request.user.zone)
    return show(request, "cancel", {"title": f"Cancel {name}?", "name": name, "state": state, "words": words}, problem)


@signed_in
@posted
def keep(request: Request) -> HttpResponse:
    """Undo the scheduled change, with one click (B3)."""
    try:
        subscriptions.undo_scheduled_change(request.user)
    except (ActionRefused, PaddleFault) as problem:
        return show_billing(request, problem=problem)
    messages.success(request, "Your plan goes on as before.")
    return redirect("billing:overview")


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def resume(request: Request) -> HttpResponse:
    state, problem = subscriptions.state_of(request.user), None
    if request.method == "POST":
        try:
            subscriptions.resume(request.user)
        except (ActionRefused, PaddleFault) as fault:
            problem = fault
        else:
            messages.success(request, "Your plan is back as soon as the payment arrives.")
            return redirect("billing:overview")
    elif not state.may_resume:
        return redirect("billing:overview")
    name = state.price.plan.name if state.price else "your plan"
    return show(request, "resume", {"title": f"Resume {name}", "name": name, "state": state}, problem)
