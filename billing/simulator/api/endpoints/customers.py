"""Customers, and what is theirs."""

from __future__ import annotations

import uuid
from datetime import timedelta

from billing.simulator.api import bodies
from billing.simulator.api.calls import ID, Call, Done, Route, field, listed, paged, portal_link
from billing.simulator.api.listing import Page
from billing.simulator.commerce import customers
from billing.simulator.errors import unknown
from billing.simulator.schemas import Entity, iso
from billing.simulator.state import State


def create_customer(call: Call, state: State) -> Done:
    return Done(customers.create(state, bodies.given(bodies.read(bodies.NewCustomer, call.body))))


def list_customers(call: Call, state: State) -> Page:
    return listed(call, state, "ctm", "id", "email", "status", visible=True)


def get_customer(call: Call, state: State, customer_id: str) -> Entity:
    return state.get("ctm", customer_id)


def change_customer(call: Call, state: State, customer_id: str) -> Entity:
    customer = state.get("ctm", customer_id)
    return customers.change(state, customer, bodies.given(bodies.read(bodies.CustomerChange, call.body)))


def list_addresses(call: Call, state: State, customer_id: str) -> Page:
    state.get("ctm", customer_id)
    rows = [row for row in state.rows("add") if row["customer_id"] == customer_id]
    return paged(call, rows, {"status": field("status")})


def credit_balances(call: Call, state: State, customer_id: str) -> list[Entity]:
    return customers.credit_balances(state, state.get("ctm", customer_id))


def auth_token(call: Call, state: State, customer_id: str) -> Done:
    state.get("ctm", customer_id)
    expires = iso(state.now() + timedelta(minutes=30))
    return Done({"customer_auth_token": f"pca_{uuid.uuid4().hex}", "expires_at": expires})


def portal_session(call: Call, state: State, customer_id: str) -> Done:
    """Links to the simulator's own portal page, with one pair for each subscription that was asked for."""
    state.get("ctm", customer_id)
    wanted = bodies.read(bodies.PortalSession, call.body).subscription_ids
    for subscription_id in wanted:
        if state.get("sub", subscription_id)["customer_id"] != customer_id:
            raise unknown(subscription_id)
    overview = portal_link(call, state, customer_id)
    urls = [
        {
            "id": subscription_id,
            "cancel_subscription": f"{overview}#{subscription_id}",
            "update_subscription_payment_method": f"{overview}#{subscription_id}",
        }
        for subscription_id in wanted
    ]
    made = {"id": state.new_id("cpls"), "customer_id": customer_id, "created_at": iso(state.now())}
    return Done(made | {"urls": {"general": {"overview": overview}, "subscriptions": urls}})


ROUTES: list[Route] = [
    ("POST", "/customers", create_customer),
    ("GET", "/customers", list_customers),
    ("GET", f"/customers/{ID}", get_customer),
    ("PATCH", f"/customers/{ID}", change_customer),
    ("GET", f"/customers/{ID}/addresses", list_addresses),
    ("GET", f"/customers/{ID}/credit-balances", credit_balances),
    ("POST", f"/customers/{ID}/auth-token", auth_token),
    ("POST", f"/customers/{ID}/portal-sessions", portal_session),
]
