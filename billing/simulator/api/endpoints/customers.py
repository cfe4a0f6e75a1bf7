"""Customers: their addresses, their credit, and their links to the portal."""

from __future__ import annotations

import uuid
from datetime import timedelta

from billing.simulator import links
from billing.simulator.api.listing import Page, fields, paged, unarchived
from billing.simulator.api.routes import ID, Result, Route
from billing.simulator.bodies.body import read
from billing.simulator.bodies.customers import CustomerChange, NewCustomer, PortalSession
from billing.simulator.commerce import customers
from billing.simulator.errors import not_found
from billing.simulator.http import Request
from billing.simulator.schemas.customers import CreditBalance, Customer
from billing.simulator.schemas.times import iso
from billing.simulator.state import State


def create_customer(request: Request, state: State) -> Result:
    body = read(NewCustomer, request.body)
    made = customers.create(state, email=body.email, name=body.name, locale=body.locale, custom_data=body.custom_data)
    return Result(made)


def list_customers(request: Request, state: State) -> Page:
    return paged(request, unarchived(request, state.customers.rows()), fields("id", "email", "status"))


def get_customer(request: Request, state: State, customer_id: str) -> Customer:
    return state.customers.get(customer_id)


def change_customer(request: Request, state: State, customer_id: str) -> Customer:
    customer = state.customers.get(customer_id)
    return customers.change(state, customer, read(CustomerChange, request.body))


def list_addresses(request: Request, state: State, customer_id: str) -> Page:
    state.customers.get(customer_id)
    rows = [row for row in state.addresses.rows() if row["customer_id"] == customer_id]
    return paged(request, rows, fields("status"))


def credit_balances(request: Request, state: State, customer_id: str) -> list[CreditBalance]:
    return customers.credit_balances(state, state.customers.get(customer_id))


def auth_token(request: Request, state: State, customer_id: str) -> Result:
    state.customers.get(customer_id)
    expires = iso(state.now() + timedelta(minutes=30))
    return Result({"customer_auth_token": f"pca_{uuid.uuid4().hex}", "expires_at": expires})


def portal_session(request: Request, state: State, customer_id: str) -> Result:
    """Links to the simulator's own portal page, with a pair for each subscription of the request."""
    state.customers.get(customer_id)
    wanted = read(PortalSession, request.body).subscription_ids
    for subscription_id in wanted:
        if state.subscriptions.get(subscription_id)["customer_id"] != customer_id:
            raise not_found(subscription_id)
    overview = links.portal(request.base, customer_id, key=state.secret)
    urls = [
        {
            "id": subscription_id,
            "cancel_subscription": f"{overview}#{subscription_id}",
            "update_subscription_payment_method": f"{overview}#{subscription_id}",
        }
        for subscription_id in wanted
    ]
    return Result(
        {
            "id": state.new_id("cpls"),
            "customer_id": customer_id,
            "created_at": iso(state.now()),
            "urls": {"general": {"overview": overview}, "subscriptions": urls},
        }
    )


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
