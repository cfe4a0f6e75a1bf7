"""Transactions and their invoices."""

from __future__ import annotations

from collections.abc import Mapping

from billing.simulator import links
from billing.simulator.api.listing import Page, Sizes, fields, paged
from billing.simulator.api.routes import ID, Result, Route, included
from billing.simulator.bodies.body import plain, read
from billing.simulator.bodies.transactions import NewTransaction, TransactionChange, TransactionPreview
from billing.simulator.commerce import adjustments, catalogue, transactions
from billing.simulator.commerce.transactions import OrderLine
from billing.simulator.errors import RequestError, invalid_field, not_found
from billing.simulator.http import Request
from billing.simulator.schemas.transactions import Transaction
from billing.simulator.state import State


def create_transaction(request: Request, state: State) -> Result:
    body = read(NewTransaction, request.body)
    made = transactions.create(
        state,
        [OrderLine(item.price_id, item.quantity) for item in body.items],
        customer_id=body.customer_id,
        address_id=body.address_id,
        custom_data=body.custom_data,
        currency=body.currency_code,
        link=body.checkout.url if body.checkout else None,
    )
    return Result(made)


def preview_transaction(request: Request, state: State) -> Mapping[str, object]:
    body = read(TransactionPreview, request.body)
    order = [OrderLine(item.price_id, item.quantity) for item in body.items]
    for line in order:
        catalogue.buyable(state, line.price_id, line.quantity, out_of_range="transaction_item_quantity_out_of_range")
    made = transactions.draft(state, order, origin="api", currency=body.currency_code)
    if body.address or body.address_id:
        transactions.add_tax(state, made, body.address_id or "")
    details = made["details"]
    return {
        "customer_id": body.customer_id,
        "address_id": body.address_id,
        "business_id": None,
        "discount_id": None,
        "customer_ip_address": None,
        "address": plain(body.address),
        "currency_code": body.currency_code,
        "ignore_trials": False,
        "items": [{**item, "include_in_totals": True} for item in made["items"]],
        "details": {
            "tax_rates_used": details["tax_rates_used"],
            "totals": details["totals"],
            "line_items": details["line_items"],
        },
        "available_payment_methods": ["card"],
    }


def list_transactions(request: Request, state: State) -> Page:
    return paged(
        request,
        state.transactions.rows(),
        fields("id", "customer_id", "subscription_id", "status", "origin", "invoice_number", "collection_mode"),
        sizes=Sizes(30, 30),
        also=["include"],
        show=lambda row: _with_included(request, state, row),
    )


def get_transaction(request: Request, state: State, transaction_id: str) -> Mapping[str, object]:
    return _with_included(request, state, state.transactions.get(transaction_id))


def change_transaction(request: Request, state: State, transaction_id: str) -> Transaction:
    transaction = state.transactions.get(transaction_id)
    body = read(TransactionChange, request.body)
    has_custom_data = "custom_data" in body.model_fields_set
    if body.status and has_custom_data:
        raise RequestError("transaction_cannot_be_modified_and_canceled", "Cancel it or change it, not both.")
    if body.status:
        transactions.cancel(state, transaction)
    elif has_custom_data:
        if transaction["status"] not in {"draft", "ready"}:
            raise RequestError("transaction_immutable", f"The transaction is {transaction['status']}.")
        transaction["custom_data"] = body.custom_data
        state.emit("transaction.updated", transaction)
    return transaction


def get_invoice(request: Request, state: State, transaction_id: str) -> Mapping[str, object]:
    """A link to the PDF that works for an hour; only a completed transaction that was charged has one."""
    transaction = state.transactions.get(transaction_id)
    disposition = request.query.get("disposition", "attachment")
    if disposition not in {"attachment", "inline"}:
        raise invalid_field("disposition", "must be attachment or inline")
    if not transaction["invoice_number"]:
        raise not_found(f"invoice of {transaction_id}")
    path = f"/invoices/{transaction_id}.pdf"
    return {"url": links.signed(request.base, path, key=state.secret, disposition=disposition)}


ROUTES: list[Route] = [
    ("POST", "/transactions", create_transaction),
    ("POST", "/transactions/preview", preview_transaction),
    ("GET", "/transactions", list_transactions),
    ("GET", f"/transactions/{ID}", get_transaction),
    ("PATCH", f"/transactions/{ID}", change_transaction),
    ("GET", f"/transactions/{ID}/invoice", get_invoice),
]


def _with_included(request: Request, state: State, transaction: Transaction) -> Mapping[str, object]:
    more: dict[str, object] = {}
    for name in included(request, "customer", "address", "adjustments"):
        if name == "adjustments":
            more[name] = adjustments.of_transaction(state, transaction["id"])
        elif name == "customer":
            more[name] = state.customers.find(transaction["customer_id"])
        else:
            more[name] = state.addresses.find(transaction["address_id"])
    return {**transaction, **more}
