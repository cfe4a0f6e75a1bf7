"""Links to Paddle: a new card, the portal, an invoice. Each is made by the click and stored nowhere (B7)."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_safe

from billing import checkout, subscriptions
from billing.models import Transaction
from billing.paddle import api, snapshots
from billing.paddle.api import PaddleFault
from billing.pages.actions import check_rate, leave, posted
from billing.pages.billing_page import customer_id_of, show_billing
from billing.refusals import ActionRefused
from sidekick.accounts.decorators import signed_in
from sidekick.accounts.http import Request


@signed_in
@posted
def card(request: Request) -> HttpResponse:
    """The checkout that takes a new card; for an overdue subscription it pays what is due (B7, B9)."""
    state = subscriptions.state_of(request.user)
    if not state.may_update_card or not state.subscription:
        refused = ActionRefused("There is no running plan whose card could be updated.")
        return show_billing(request, problem=refused)
    try:
        check_rate(request, "paddle")
        opened = api.card_update(state.subscription.id)
    except (ActionRefused, PaddleFault) as problem:
        return show_billing(request, problem=problem)
    # The pay page shows transactions of this account only, so this one has to be known to be.
    snapshots.upsert_response(opened)
    back = request.build_absolute_uri(reverse("billing:overview"))
    here = f"{reverse('billing:pay')}?{urlencode({'_ptxn': opened['id']})}"
    return leave(request, checkout.checkout_link(opened["id"], back) or here)


@signed_in
@posted
def portal(request: Request) -> HttpResponse:
    """Paddle's own pages for this customer (B7)."""
    state = subscriptions.state_of(request.user)
    customer_id = customer_id_of(request.user)
    if not customer_id:
        refused = ActionRefused("Paddle, which handles our payments, has nothing about you yet.")
        return show_billing(request, problem=refused)
    try:
        check_rate(request, "paddle")
        own = state.subscription and state.subscription.customer_id == customer_id
        # Paddle refuses a session that names a subscription of another customer.
        url = api.portal_url(customer_id, [state.subscription.id] if own and state.subscription else [])
    except (ActionRefused, PaddleFault) as problem:
        return show_billing(request, problem=problem)
    return leave(request, url)


@signed_in
@require_safe
def invoice(request: Request, transaction_id: str) -> HttpResponse:
    """The PDF of an invoice (B7, B8)."""
    payment = get_object_or_404(Transaction, account=request.user, pk=transaction_id)
    if not payment.has_invoice:
        raise Http404
    try:
        check_rate(request, "paddle")
        url = api.invoice_url(payment.id)
    except (ActionRefused, PaddleFault) as problem:
        return show_billing(request, problem=problem)
    return leave(request, url)
