"""Buying a plan or additional credits, and the page where they are paid.

An id from the browser chooses a price, or a row of the signed-in account (B10). Credits come with Paddle's event, never
from here (B5).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from csp.decorators import csp_update
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRedirect

from billing import checkout, subscriptions
from billing.models import PlanPrice, Purchase, Transaction
from billing.paddle.api import PaddleFault
from billing.pages import bills
from billing.pages.actions import check_rate, leave, posted, show
from billing.pages.billing_page import back_from_checkout, show_billing
from billing.pages.bills import Bill
from billing.pages.forms import CreditsForm, token_of
from billing.pages.offers import how_offered
from billing.pages.purchase_progress import Progress, waiting_since
from billing.refusals import ActionRefused, PurchaseRefused
from sidekick.accounts.decorators import signed_in
from sidekick.accounts.http import Request
from sidekick.web.rendering import is_fragment

JUST_SIGNED_IN = timedelta(minutes=1)
TRANSACTION_ID = re.compile(r"txn_[A-Za-z0-9]{1,46}", re.ASCII)


@signed_in
@posted
def buy_credits(request: Request) -> HttpResponse:
    """Begin to buy additional credits: on to the pay page, or the form again with what is wrong (B4)."""
    state = subscriptions.state_of(request.user)
    price = PlanPrice.objects.per_credit().filter(plan=state.plan).first()
    if price is None:
        return show_billing(request, problem=PurchaseRefused(checkout.why_not(request.user, state)))
    form = CreditsForm(price, request.POST)
    if not form.is_valid():
        return show_billing(request, form=form)
    try:
        check_rate(request, "checkout")
        bought = checkout.begin(request.user, price, form.cleaned_data["quantity"], token=form.token)
    except (ActionRefused, PaddleFault) as problem:
        return show_billing(request, form=form, problem=problem)
    return _to_checkout(request, bought)


@signed_in
@posted
def subscribe(request: Request, price_id: int) -> HttpResponse:
    price = get_object_or_404(PlanPrice.objects.for_sale(), pk=price_id)
    try:
        check_rate(request, "checkout")
        bought = checkout.begin(request.user, price, 1, token=token_of(request.POST))
    except (ActionRefused, PaddleFault) as problem:
        return show_billing(request, problem=problem)
    return _to_checkout(request, bought)


@signed_in
@require_safe
def plan_checkout(request: Request, price_id: int) -> HttpResponse:
    """The checkout of a plan for accounts that have just signed up for it or in; a page with its button later (B6).

    Only a session that has just begun buys by this address alone: another site may link here, and Back leads here.
    """
    price = get_object_or_404(PlanPrice.objects.of_plans(), pk=price_id)
    how = how_offered(subscriptions.state_of(request.user), price)
    if how == "change":
        return redirect("billing:change_plan", price.pk)
    if how != "subscribe":
        return redirect("billing:overview")
    session = request.device_session
    just_signed_in = session is not None and timezone.now() - session.created_at <= JUST_SIGNED_IN
    # A reload within that minute, and the button after a lost answer, find the same purchase.
    token = session.id if session and just_signed_in else uuid4()
    context = {"title": f"Get {price.plan.name}", "price": price, "token": token}
    if not just_signed_in:
        return show(request, "plan_checkout", context)
    try:
        check_rate(request, "checkout")
        bought = checkout.begin(request.user, price, 1, token=token)
    except (ActionRefused, PaddleFault) as problem:
        return show(request, "plan_checkout", context, problem)
    return _to_checkout(request, bought)


@signed_in
@require_safe
def pay(request: Request) -> HttpResponse:
    """Paddle's default payment link: a transaction of this account, opened by its id (B10)."""
    transaction_id = request.GET.get("_ptxn", "")
    if not TRANSACTION_ID.fullmatch(transaction_id):
        raise Http404
    # A purchase has a page of its own, which knows how far it is.
    bought = Purchase.objects.filter(account=request.user, transaction_id=transaction_id).first()
    if bought:
        return redirect("billing:purchase", bought.id)
    payment = get_object_or_404(Transaction, account=request.user, pk=transaction_id)
    if payment.status in {"paid", "completed", "canceled"}:
        messages.info(request, "That checkout is closed already. There is nothing to pay.")
        return redirect("billing:overview")
    title, bill = bills.for_subscription(payment, request.user.zone)
    return _pay_page(request, title, bill, payment.id, reverse("billing:overview"), {})


@signed_in
@require_safe
def purchase(request: Request, purchase_id: str) -> HttpResponse:
    """The pay page of a purchase, before, while and after it is paid (B4, B5)."""
    bought = _purchase(request, purchase_id)
    outcome = request.GET.get("checkout")
    done = _progress(request, bought, completed=outcome == "completed")
    if outcome == "closed" and done.step == "ready":
        return back_from_checkout(request)
    context = {"purchase": bought, "progress": done, "since": waiting_since(request)}
    return _pay_page(
        request, bills.title_of(bought), Bill.for_purchase(bought), bought.transaction_id, request.path, context
    )


@signed_in
@require_safe
def progress(request: Request, purchase_id: str) -> HttpResponse:
    """How far a purchase is, for a page that is open (B5)."""
    bought = _purchase(request, purchase_id)
    done = _progress(request, bought, completed="completed" in request.GET)
    # Nothing was paid after all: the page with the button is the right one again.
    if done.step == "ready":
        return leave(request, reverse("billing:purchase", args=[bought.id]))
    context = {"purchase": bought, "progress": done, "since": waiting_since(request), "live": True}
    return render(request, "billing/_progress.html", context)


def _purchase(request: Request, purchase_id: str) -> Purchase:
    return get_object_or_404(Purchase.objects.select_related("price__plan"), account=request.user, pk=purchase_id)


def _progress(request: Request, bought: Purchase, *, completed: bool) -> Progress:
    waited = timezone.now() - datetime.fromtimestamp(waiting_since(request), UTC)
    done = Progress.for_purchase(bought, completed=completed, waited=waited)
    if done.poll_seconds:
        # Paddle's event may be late, or lost on its way.
        done = Progress.for_purchase(checkout.look_again(bought), completed=completed, waited=waited)
    return done


def _to_checkout(request: Request, bought: Purchase) -> HttpResponse:
    """Lead to the simulator's checkout at once, or to our page, which opens the real one."""
    here = reverse("billing:purchase", args=[bought.id])
    # Paddle has not answered yet; our page waits for it.
    if not bought.transaction_id:
        return leave(request, here)
    return leave(request, checkout.checkout_link(bought.transaction_id, request.build_absolute_uri(here)) or here)


def _pay_page(
    request: Request, title: str, bill: Bill, transaction_id: str, done_path: str, context: dict[str, Any]
) -> HttpResponse:
    """A page that is always loaded whole: Paddle's script and what it needs are allowed on no other."""
    # A swap keeps the policy of the page before, under which Paddle's script does not run.
    if is_fragment(request):
        return HttpResponseClientRedirect(request.get_full_path())
    done_url = request.build_absolute_uri(done_path)
    context |= {
        "title": title,
        "bill": bill,
        "simulated_checkout": checkout.checkout_link(transaction_id, done_url),
        "done_url": f"{done_url}?checkout=completed",
        "closed_url": f"{done_url}?checkout=closed",
        "transaction_id": transaction_id,
        "client_token": settings.PADDLE_CLIENT_TOKEN,
        "environment": settings.PADDLE_ENVIRONMENT,
        "simulated": settings.PADDLE_SIMULATED,
    }
    response = render(request, "billing/pay.html", context)
    if not settings.PADDLE_SIMULATED:
        _let_paddle_in(request, response)
    return response


def _let_paddle_in(request: Request, response: HttpResponse) -> None:
    # Bank windows and wallets open from inside Paddle's frame.
    response["Cross-Origin-Opener-Policy"] = "same-origin-allow-popups"
    response["Permissions-Policy"] = f'payment=(self "{settings.PADDLE_CHECKOUT_POLICY["frame-src"][0]}")'
    # The decorator only marks the response, and its middleware reads the mark.
    csp_update(settings.PADDLE_CHECKOUT_POLICY)(lambda _: response)(request)
