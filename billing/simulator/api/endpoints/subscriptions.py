"""Subscriptions: reading, changing and charging them."""

from __future__ import annotations

from billing.simulator.api import bodies
from billing.simulator.api.calls import ID, Call, Route, asked_for, field, paged, portal_link
from billing.simulator.api.listing import Page
from billing.simulator.commerce import plan_changes, subscriptions
from billing.simulator.commerce.transactions import Wanted
from billing.simulator.schemas import Entity
from billing.simulator.state import State


def list_subscriptions(call: Call, state: State) -> Page:
    names = ("id", "customer_id", "status", "address_id", "collection_mode")
    found = paged(
        call,
        state.rows("sub"),
        {name: field(name) for name in names}
        | {
            "price_id": lambda row: str(row["items"][0]["price"]["id"]),
            "scheduled_change_action": lambda row: (row["scheduled_change"] or {}).get("action"),
        },
    )
    return Page([_with_urls(call, state, row) for row in found.rows], found.pagination)


def get_subscription(call: Call, state: State, subscription_id: str) -> Entity:
    subscription = state.get("sub", subscription_id)
    shown = _with_urls(call, state, subscription)
    for name in asked_for(call, "next_transaction", "recurring_transaction_details"):
        if name == "next_transaction":
            shown[name] = plan_changes.next_transaction(state, subscription)
        else:
            shown[name] = plan_changes.recurring_details(state, subscription)
    return shown


def change_subscription(call: Call, state: State, subscription_id: str) -> Entity:
    subscription = state.get("sub", subscription_id)
    plan_changes.change(state, subscription, bodies.given(bodies.read(bodies.SubscriptionChange, call.body)))
    return _with_urls(call, state, subscription)


def preview_subscription(call: Call, state: State, subscription_id: str) -> Entity:
    subscription = state.get("sub", subscription_id)
    sent = bodies.given(bodies.read(bodies.SubscriptionChange, call.body))
    return plan_changes.preview(state, subscription, sent) | {"management_urls": _urls(call, state, subscription)}


def cancel_subscription(call: Call, state: State, subscription_id: str) -> Entity:
    subscription = state.get("sub", subscription_id)
    subscriptions.cancel(state, subscription, bodies.read(bodies.Cancel, call.body).effective_from)
    return _with_urls(call, state, subscription)


def pause_subscription(call: Call, state: State, subscription_id: str) -> Entity:
    subscription, sent = state.get("sub", subscription_id), bodies.read(bodies.Pause, call.body)
    subscriptions.pause(state, subscription, sent.effective_from, sent.resume_at)
    return _with_urls(call, state, subscription)


def resume_subscription(call: Call, state: State, subscription_id: str) -> Entity:
    subscription, sent = state.get("sub", subscription_id), bodies.read(bodies.Resume, call.body)
    when = None if sent.effective_from == "immediately" else sent.effective_from
    subscriptions.resume(state, subscription, when, sent.on_resume)
    return _with_urls(call, state, subscription)


def activate_subscription(call: Call, state: State, subscription_id: str) -> Entity:
    bodies.read(bodies.Nothing, call.body)
    subscription = state.get("sub", subscription_id)
    subscriptions.activate(state, subscription)
    return _with_urls(call, state, subscription)


def charge_subscription(call: Call, state: State, subscription_id: str) -> Entity:
    subscription, sent = state.get("sub", subscription_id), bodies.read(bodies.Charge, call.body)
    subscriptions.charge(
        state,
        subscription,
        [Wanted(item.price_id, item.quantity) for item in sent.items],
        now=sent.effective_from == "immediately",
        apply_anyway=sent.on_payment_failure == "apply_change",
    )
    return _with_urls(call, state, subscription)


def preview_charge(call: Call, state: State, subscription_id: str) -> Entity:
    subscription, sent = state.get("sub", subscription_id), bodies.read(bodies.Charge, call.body)
    wanted = [Wanted(item.price_id, item.quantity) for item in sent.items]
    bill = plan_changes.shown(subscriptions.preview_charge(state, subscription, wanted))
    now = sent.effective_from == "immediately"
    return _with_urls(call, state, subscription) | {
        "immediate_transaction": bill if now else None,
        "next_transaction": plan_changes.next_transaction(state, subscription, more=[] if now else wanted),
        "recurring_transaction_details": plan_changes.recurring_details(state, subscription),
        "update_summary": None,
    }


def card_update(call: Call, state: State, subscription_id: str) -> Entity:
    return subscriptions.card_update(state, state.get("sub", subscription_id))


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


def _with_urls(call: Call, state: State, subscription: Entity) -> Entity:
    return subscription | {"management_urls": _urls(call, state, subscription)}


def _urls(call: Call, state: State, subscription: Entity) -> Entity:
    portal = f"{portal_link(call, state, subscription['customer_id'])}#{subscription['id']}"
    return {"update_payment_method": portal, "cancel": portal}
