"""Subscriptions: reading, changing and charging them."""

from __future__ import annotations

from typing import TypedDict

from billing.simulator import links
from billing.simulator.api.listing import Page, fields, paged
from billing.simulator.api.routes import ID, Json, Route, included
from billing.simulator.bodies.body import read
from billing.simulator.bodies.subscriptions import Cancel, Charge, Nothing, Pause, Resume, SubscriptionChange
from billing.simulator.commerce.subscriptions import changes, charges, collection, lifecycle, pauses, previews
from billing.simulator.commerce.transactions import OrderLine
from billing.simulator.http import Request
from billing.simulator.schemas.subscriptions import Subscription, SubscriptionPreview
from billing.simulator.schemas.transactions import PreviewedTransaction, Transaction
from billing.simulator.state import State


class ManagementUrls(TypedDict):
    update_payment_method: str
    cancel: str


class Managed(Subscription):
    """A subscription as the API shows it: only here it has links to the portal."""

    management_urls: ManagementUrls


def list_subscriptions(request: Request, state: State) -> Page:
    filters = {
        **fields("id", "customer_id", "status", "address_id", "collection_mode"),
        "price_id": _price_id,
        "scheduled_change_action": _scheduled_action,
    }
    return paged(request, state.subscriptions.rows(), filters, show=lambda row: _managed(request, state, row))


def get_subscription(request: Request, state: State, subscription_id: str) -> Json:
    subscription = state.subscriptions.get(subscription_id)
    more: dict[str, object] = {}
    for name in included(request, "next_transaction", "recurring_transaction_details"):
        if name == "next_transaction":
            more[name] = previews.next_transaction(state, subscription)
        else:
            more[name] = previews.recurring_details(state, subscription)
    return {**_managed(request, state, subscription), **more}


def change_subscription(request: Request, state: State, subscription_id: str) -> Managed:
    subscription = state.subscriptions.get(subscription_id)
    changes.change(state, subscription, read(SubscriptionChange, request.body))
    return _managed(request, state, subscription)


def preview_subscription(request: Request, state: State, subscription_id: str) -> Json:
    subscription = state.subscriptions.get(subscription_id)
    preview: SubscriptionPreview = previews.change(state, subscription, read(SubscriptionChange, request.body))
    return {**preview, "management_urls": _urls(request, state, subscription)}


def cancel_subscription(request: Request, state: State, subscription_id: str) -> Managed:
    subscription = state.subscriptions.get(subscription_id)
    lifecycle.cancel(state, subscription, read(Cancel, request.body).effective_from)
    return _managed(request, state, subscription)


def pause_subscription(request: Request, state: State, subscription_id: str) -> Managed:
    subscription, body = state.subscriptions.get(subscription_id), read(Pause, request.body)
    pauses.pause(state, subscription, body.effective_from, body.resume_at)
    return _managed(request, state, subscription)


def resume_subscription(request: Request, state: State, subscription_id: str) -> Managed:
    subscription, body = state.subscriptions.get(subscription_id), read(Resume, request.body)
    when = None if body.effective_from == "immediately" else body.effective_from
    pauses.resume(state, subscription, when, body.on_resume)
    return _managed(request, state, subscription)


def activate_subscription(request: Request, state: State, subscription_id: str) -> Managed:
    read(Nothing, request.body)
    subscription = state.subscriptions.get(subscription_id)
    lifecycle.activate(state, subscription)
    return _managed(request, state, subscription)


def charge_subscription(request: Request, state: State, subscription_id: str) -> Managed:
    subscription, body = state.subscriptions.get(subscription_id), read(Charge, request.body)
    charges.charge(
        state,
        subscription,
        _order(body),
        now=body.effective_from == "immediately",
        apply_anyway=body.on_payment_failure == "apply_change",
    )
    return _managed(request, state, subscription)


def preview_charge(request: Request, state: State, subscription_id: str) -> Json:
    subscription, body = state.subscriptions.get(subscription_id), read(Charge, request.body)
    order, now = _order(body), body.effective_from == "immediately"
    bill: PreviewedTransaction = previews.shown(charges.bill_once(state, subscription, order))
    return {
        **_managed(request, state, subscription),
        "immediate_transaction": bill if now else None,
        "next_transaction": previews.next_transaction(state, subscription, more=[] if now else order),
        "recurring_transaction_details": previews.recurring_details(state, subscription),
        "update_summary": None,
    }


def card_update(request: Request, state: State, subscription_id: str) -> Transaction:
    return collection.card_update(state, state.subscriptions.get(subscription_id))


ROUTES: list[Route] = [
    ("GET", "/subscriptions", list_subscriptions),
    ("GET", f"/subscriptions/{ID}", get_subscription),
    ("PATCH", f"/subscriptions/{ID}", change_subscription),
    ("PATCH", f"/subscriptions/{ID}/preview", preview_subscription),
    ("POST", f"/subscriptions/{ID}/cancel", cancel_subscription),
    ("POST", f"/subscriptions/{ID}/pause", pause_subscription),
    ("POST", f"/subscriptions/{ID}/resume", resume_subscription),
    ("POST", f"/subscriptions/{ID}/activate", activate_subscription),
    ("POST", f"/subscriptions/{ID}/charge", charge_subscription),
    ("POST", f"/subscriptions/{ID}/charge/preview", preview_charge),
    ("GET", f"/subscriptions/{ID}/update-payment-method-transaction", card_update),
]


def _price_id(subscription: Subscription) -> str:
    return subscription["items"][0]["price"]["id"]


def _scheduled_action(subscription: Subscription) -> str | None:
    change = subscription["scheduled_change"]
    return change["action"] if change else None


def _order(body: Charge) -> list[OrderLine]:
    return [OrderLine(item.price_id, item.quantity) for item in body.items]


def _managed(request: Request, state: State, subscription: Subscription) -> Managed:
    return {**subscription, "management_urls": _urls(request, state, subscription)}


def _urls(request: Request, state: State, subscription: Subscription) -> ManagementUrls:
    portal = links.portal(request.base, subscription["customer_id"], key=state.secret)
    link = f"{portal}#{subscription['id']}"
    return {"update_payment_method": link, "cancel": link}
