"""The Billing tab: the plan, additional credits, payments, and the page where they are paid.

Ids from the browser choose prices and rows of the signed-in account, never an account or a subscription (B10).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from csp.decorators import csp_update
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from billing import checkout, subscriptions
from billing.models import Customer, PlanPrice, Purchase, Transaction
from billing.paddle import api, snapshots
from billing.paddle.api import PaddleFault
from billing.pages import payment as pages_payment
from billing.pages import payment_history, plan_card
from billing.pages.forms import CreditsForm, token_of
from billing.pages.payment import Bill, Progress
from billing.pages.plan_card import Overview
from billing.refusals import ActionRefused, PurchaseRefused, TooManyRequests
from billing.subscriptions import SubscriptionState
from credits.models import Plan
from sidekick.accounts.decorators import signed_in
from sidekick.accounts.http import Request
from sidekick.accounts.models import User
from sidekick.web import rate_limits
from sidekick.web.rendering import is_fragment, render_page

PAYMENTS_REGION, CREDITS_REGION = "payments", "additional-credits"
JUST_NOW = timedelta(hours=1)
TRANSACTION_ID = re.compile(r"txn_[A-Za-z0-9]{1,46}", re.ASCII)
Problem = ActionRefused | PaddleFault


def posted(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Acts on a POST only. A refused form leaves its address in the browser, which leads back to Billing."""
    acting = require_POST(view)

    @wraps(view)
    def act(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        return redirect("billing:overview") if request.method in {"GET", "HEAD"} else acting(request, *args, **kwargs)

    return act


@signed_in
@require_safe
def overview(request: Request) -> HttpResponse:
    if request.GET.get("checkout") in {"completed", "closed"}:
        return _back_from_checkout(request)
    if is_fragment(request) and request.htmx.target == PAYMENTS_REGION:
        return render(request, "billing/_payments.html", _history(request))
    return _billing(request)


@signed_in
@posted
def buy_credits(request: Request) -> HttpResponse:
    """Begin to buy additional credits: on to the pay page, or the form again with what is wrong (B4)."""
    state = subscriptions.state_of(request.user)
    price = PlanPrice.objects.per_credit().filter(plan=state.plan).first()
    if price is None:
        return _billing(request, problem=PurchaseRefused(checkout.why_not(request.user, state)))
    form = CreditsForm(price, request.POST)
    if not form.is_valid():
        return _billing(request, form=form)
    try:
        _not_too_often(request, "checkout")
        bought = checkout.begin(request.user, price, form.cleaned_data["quantity"], token=form.token)
    except (ActionRefused, PaddleFault) as problem:
        return _billing(request, form=form, problem=problem)
    return _to_checkout(request, bought)


@signed_in
@posted
def subscribe(request: Request, price_id: int) -> HttpResponse:
    price = get_object_or_404(_plan_prices(), pk=price_id)
    try:
        _not_too_often(request, "checkout")
        bought = checkout.begin(request.user, price, 1, token=token_of(request.POST))
    except (ActionRefused, PaddleFault) as problem:
        return _billing(request, problem=problem)
    return _to_checkout(request, bought)


@signed_in
@require_safe
def plan(request: Request) -> HttpResponse:
    """Which plan to change to (B6)."""
    state = subscriptions.state_of(request.user)
    if not state.may_change:
        return redirect("billing:overview")
    context = {"title": "Change plan", "state": state, "choices": subscriptions.choices(request.user, state)}
    return _render(request, "plan", context)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def change_plan(request: Request, price_id: int) -> HttpResponse:
    """What Paddle would charge for another plan, and the change itself (B6)."""
    price = get_object_or_404(_plan_prices(), pk=price_id)
    problem: Problem | None = None
    if request.method == "POST":
        try:
            subscriptions.change(request.user, price)
        except (ActionRefused, PaddleFault) as fault:
            problem = fault
        else:
            messages.success(request, f"Your plan changes to {price.plan.name}.")
            return redirect("billing:overview")
    state, words = subscriptions.state_of(request.user), []
    try:
        _not_too_often(request, "paddle")
        preview = subscriptions.preview(request.user, price)
        words = plan_card.consequences(preview, price, state, request.user.zone)
    except (ActionRefused, PaddleFault) as fault:
        problem = problem or fault
    context = {"title": f"Change to {price.plan.name}", "state": state, "price": price, "words": words}
    return _render(request, "change_plan", context, problem)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request: Request) -> HttpResponse:
    """What happens and when, then the cancellation itself (B2)."""
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
    free = Plan.objects.get(slug=Plan.FREE)
    words = plan_card.cancellation(state, free, request.user.zone)
    context = {"title": f"Cancel {name}?", "name": name, "state": state, "words": words}
    return _render(request, "cancel", context, problem)


@signed_in
@posted
def keep(request: Request) -> HttpResponse:
    """Undo what is scheduled, with one click (B3)."""
    try:
        subscriptions.undo_scheduled_change(request.user)
    except (ActionRefused, PaddleFault) as problem:
        return _billing(request, problem=problem)
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
    return _render(request, "resume", {"title": f"Resume {name}", "name": name, "state": state}, problem)


@signed_in
@require_safe
def coming(request: Request) -> HttpResponse:
    """Whether the plan that was paid for is there, for a page that is open."""
    state = subscriptions.state_of(request.user)
    if state.coming is None:
        return HttpResponseClientRedirect(reverse("billing:overview"))
    return render(request, "billing/_coming.html", {"state": state})


@signed_in
@posted
def card(request: Request) -> HttpResponse:
    """To the checkout that takes a new card; of an overdue subscription it pays what is due (B7, B9)."""
    state = subscriptions.state_of(request.user)
    if not state.may_update_card or not state.subscription:
        return _billing(request, problem=ActionRefused("There is no running plan whose card could be updated."))
    try:
        _not_too_often(request, "paddle")
        opened = api.card_update(state.subscription.id)
    except (ActionRefused, PaddleFault) as problem:
        return _billing(request, problem=problem)
    # From here on it is known to be of this account, which is what the pay page asks.
    snapshots.upsert_response(opened)
    back = request.build_absolute_uri(reverse("billing:overview"))
    here = f"{reverse('billing:pay')}?{urlencode({'_ptxn': opened['id']})}"
    return _away(request, checkout.checkout_link(opened["id"], back) or here)


@signed_in
@posted
def portal(request: Request) -> HttpResponse:
    """To Paddle's own pages for this customer, by a link that is made now and kept nowhere (B7)."""
    state = subscriptions.state_of(request.user)
    customer_id = _customer_id(request.user)
    if not customer_id:
        return _billing(
            request, problem=ActionRefused("Paddle, which handles our payments, has nothing about you yet.")
        )
    try:
        _not_too_often(request, "paddle")
        own = state.subscription and state.subscription.customer_id == customer_id
        url = api.portal_url(customer_id, [state.subscription.id] if own and state.subscription else [])
    except (ActionRefused, PaddleFault) as problem:
        return _billing(request, problem=problem)
    return _away(request, url)


@signed_in
@require_safe
def invoice(request: Request, transaction_id: str) -> HttpResponse:
    """To the PDF, by a link that is made now (B7, B8)."""
    payment = get_object_or_404(Transaction, account=request.user, pk=transaction_id)
    try:
        _not_too_often(request, "paddle")
        url = api.invoice_url(payment.id)
    except (ActionRefused, PaddleFault) as problem:
        return _billing(request, problem=problem)
    return _away(request, url)


@signed_in
@require_safe
def pay(request: Request) -> HttpResponse:
    """Paddle's default payment link: a transaction of this account, opened by its id (B10)."""
    transaction_id = request.GET.get("_ptxn", "")
    if not TRANSACTION_ID.fullmatch(transaction_id):
        raise Http404
    bought = Purchase.objects.filter(account=request.user, transaction_id=transaction_id).first()
    if bought:
        return redirect("billing:purchase", bought.id)
    payment = get_object_or_404(Transaction, account=request.user, pk=transaction_id)
    if payment.status in {"paid", "completed", "canceled"}:
        messages.info(request, "That checkout is closed already. There is nothing to pay.")
        return redirect("billing:overview")
    title, bill = pages_payment.of_subscription(payment, request.user.zone)
    return _pay_page(request, title, bill, payment.id, reverse("billing:overview"), {})


@signed_in
@require_safe
def purchase(request: Request, purchase_id: str) -> HttpResponse:
    """The pay page of a purchase, before, while and after it is paid (B4, B5)."""
    bought = _purchase(request, purchase_id)
    said = request.GET.get("checkout")
    done = _progress(request, bought, completed=said == "completed")
    if said == "closed" and done.step == "ready":
        return _back_from_checkout(request)
    context = {"purchase": bought, "progress": done, "since": _since(request)}
    return _pay_page(
        request, pages_payment.title_of(bought), Bill.of_purchase(bought), bought.transaction_id, request.path, context
    )


@signed_in
@require_safe
def progress(request: Request, purchase_id: str) -> HttpResponse:
    """How far a purchase is, for a page that is open (B5)."""
    bought = _purchase(request, purchase_id)
    done = _progress(request, bought, completed="completed" in request.GET)
    if done.step == "ready":
        return _away(request, reverse("billing:purchase", args=[bought.id]))
    return render(
        request,
        "billing/_progress.html",
        {"purchase": bought, "progress": done, "since": _since(request), "live": True},
    )


def _billing(request: Request, *, problem: Problem | None = None, form: CreditsForm | None = None) -> HttpResponse:
    """The Billing page, or the one region of it that was asked for."""
    account, now = request.user, timezone.now()
    zone = account.zone
    state = subscriptions.state_of(account, now=now)
    context: dict[str, Any] = {"title": "Billing", "state": state, **_credits(account, state, form)}
    if is_fragment(request) and request.htmx.target == CREDITS_REGION and form:
        return _render(
            request, "overview", context, problem, fragment="billing/_credits.html", invalid=bool(form.errors)
        )
    context |= {
        "overview": Overview.of(state, zone, now),
        "has_portal": bool(_customer_id(account)),
        "upgrades": [] if state.subscription else _upgrades(account, state),
        "token": token_of({}),
        **_history(request),
        **_pending(request, now),
    }
    return _render(request, "overview", context, problem, invalid=bool(form and form.errors))


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
    zone = request.user.zone
    found = payment_history.page_of(request.user, request.GET.get("page", "1"), zone)
    return {"payments": found.payments, "pages": found.pages}


def _pending(request: Request, now: datetime) -> dict[str, Any]:
    """The newest purchase of this hour, while what was paid for is on its way."""
    newest = Purchase.objects.filter(account=request.user, created_at__gt=now - JUST_NOW).select_related("price__plan")
    bought = newest.first()
    if bought is None:
        return {}
    done = Progress.of(bought, completed=False, waited=timedelta(0))
    return {"purchase": bought, "progress": done, "since": _since(request)} if done.step == "waiting" else {}


def _not_too_often(request: Request, action: str) -> None:
    if not rate_limits.allow(request, action):
        raise TooManyRequests("That was a lot at once. Wait a minute, then try again.")


def _customer_id(account: User) -> str:
    """Paddle's customer that is this account. Who paid for its subscription may be another: the checkout takes any
    email, proved or not, and the portal shows all that a customer has."""
    return str(Customer.objects.filter(account=account).values_list("id", flat=True).first() or "")


def _plan_prices() -> Any:
    """What a plan may be bought or changed to at."""
    return PlanPrice.objects.exclude(interval=PlanPrice.Interval.CREDIT).filter(currency="USD", amount__gt=0)


def _purchase(request: Request, purchase_id: str) -> Purchase:
    return get_object_or_404(Purchase.objects.select_related("price__plan"), account=request.user, pk=purchase_id)


def _progress(request: Request, bought: Purchase, *, completed: bool) -> Progress:
    """How far it is; Paddle is asked where its event is late."""
    waited = timezone.now() - datetime.fromtimestamp(_since(request), UTC)
    done = Progress.of(bought, completed=completed, waited=waited)
    if done.poll_seconds:
        done = Progress.of(checkout.look_again(bought), completed=completed, waited=waited)
    return done


def _since(request: Request) -> int:
    """When somebody began to wait, in seconds since 1970: only words depend on it."""
    now, asked = int(timezone.now().timestamp()), request.GET.get("since", "")
    return min(int(asked), now) if asked.isascii() and asked.isdecimal() and len(asked) < 12 else now


def _to_checkout(request: Request, bought: Purchase) -> HttpResponse:
    """To the simulator's checkout at once, or to our page, which opens the real one."""
    here = reverse("billing:purchase", args=[bought.id])
    link = (
        checkout.checkout_link(bought.transaction_id, request.build_absolute_uri(here)) if bought.transaction_id else ""
    )
    return _away(request, link or here)


def _back_from_checkout(request: Request) -> HttpResponse:
    if request.GET["checkout"] == "closed":
        messages.info(request, "The checkout is closed. Nothing was charged.")
    else:
        messages.success(request, "Thank you. It can take a minute until this page shows it.")
    return redirect("billing:overview")


def _pay_page(
    request: Request, title: str, bill: Bill, transaction_id: str, done_path: str, context: dict[str, Any]
) -> HttpResponse:
    """A page that is always loaded whole: Paddle's script and what it needs are allowed on no other."""
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
    answer = render(request, "billing/pay.html", context)
    if settings.PADDLE_SIMULATED:
        return answer
    # Bank windows and wallets open from inside Paddle's frame.
    answer["Cross-Origin-Opener-Policy"] = "same-origin-allow-popups"
    answer["Permissions-Policy"] = f'payment=(self "{settings.PADDLE_CHECKOUT_POLICY["frame-src"][0]}")'
    return csp_update(settings.PADDLE_CHECKOUT_POLICY)(lambda _: answer)(request)  # type: ignore[return-value]


def _render(
    request: Request,
    view: str,
    context: dict[str, Any],
    problem: Problem | None = None,
    *,
    fragment: str = "",
    invalid: bool = False,
) -> HttpResponse:
    """The page or its fragment. What went wrong stands above it, and in the status of a full page load."""
    context |= {"problem": str(problem) if problem else ""}
    fragment = fragment or f"billing/_{view}.html"
    response = render_page(request, f"billing/{view}.html", context, fragment=fragment, status=422 if invalid else 200)
    if problem and isinstance(problem, PaddleFault) and problem.retry_after:
        response["Retry-After"] = str(problem.retry_after)
    if is_fragment(request):
        # The address of a refused POST is not one to come back to.
        if request.method == "POST":
            response["HX-Push-Url"] = "false"
    elif problem:
        response.status_code = (
            429 if isinstance(problem, TooManyRequests) else 409 if isinstance(problem, ActionRefused) else 503
        )
    return response


def _away(request: Request, url: str) -> HttpResponse:
    """To an address that has to be loaded whole: another site's, or the pay page."""
    if "HX-Request" in request.headers:
        return HttpResponseClientRedirect(url)
    return SeeOther(url)


class SeeOther(HttpResponseRedirect):
    status_code = 303
