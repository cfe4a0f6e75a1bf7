"""Transactions and their invoices."""

from __future__ import annotations

from billing.simulator.api import bodies
from billing.simulator.api.calls import ID, Call, Done, Route, asked_for, listed
from billing.simulator.api.listing import Page, Sizes
from billing.simulator.commerce import adjustments, catalogue, transactions
from billing.simulator.commerce.transactions import Wanted
from billing.simulator.errors import Refused, invalid, unknown
from billing.simulator.pages import links
from billing.simulator.schemas import Entity
from billing.simulator.state import State


def create_transaction(call: Call, state: State) -> Done:
    sent = bodies.read(bodies.NewTransaction, call.body)
    made = transactions.create(
        state,
        [Wanted(item.price_id, item.quantity) for item in sent.items],
        customer_id=sent.customer_id,
        address_id=sent.address_id,
        custom_data=sent.custom_data,
        currency=sent.currency_code,
        link=sent.checkout.url if sent.checkout else None,
    )
    return Done(made)


def preview_transaction(call: Call, state: State) -> Entity:
    sent = bodies.read(bodies.TransactionPreview, call.body)
    wanted = [Wanted(item.price_id, item.quantity) for item in sent.items]
    for line in wanted:
        catalogue.price_in(state, line.price_id, line.quantity, out_of_range="transaction_item_quantity_out_of_range")
    made = transactions.begin(state, wanted, origin="api", currency=sent.currency_code)
    if sent.address or sent.address_id:
        transactions.tax_for(state, made, sent.address_id or "")
    return {
        "customer_id": sent.customer_id,
        "address_id": sent.address_id,
        "business_id": None,
        "discount_id": None,
        "customer_ip_address": None,
        "address": sent.address and sent.address.model_dump(),
        "currency_code": sent.currency_code,
        "ignore_trials": False,
        "items": [item | {"include_in_totals": True} for item in made["items"]],
        "details": {name: made["details"][name] for name in ("tax_rates_used", "totals", "line_items")},
        "available_payment_methods": ["card"],
    }


def list_transactions(call: Call, state: State) -> Page:
    names = ("id", "customer_id", "subscription_id", "status", "origin", "invoice_number", "collection_mode")
    found = listed(call, state, "txn", *names, sizes=Sizes(30, 30), also=["include"])
    return Page([_with_parties(call, state, row) for row in found.rows], found.pagination)


def get_transaction(call: Call, state: State, transaction_id: str) -> Entity:
    return _with_parties(call, state, state.get("txn", transaction_id))


def change_transaction(call: Call, state: State, transaction_id: str) -> Entity:
    transaction = state.get("txn", transaction_id)
    sent = bodies.given(bodies.read(bodies.TransactionChange, call.body))
    if sent.get("status") and "custom_data" in sent:
        raise Refused("transaction_cannot_be_modified_and_canceled", "Cancel it or change it, not both.")
    if sent.get("status"):
        transactions.cancel(state, transaction)
    elif "custom_data" in sent:
        if transaction["status"] not in {"draft", "ready"}:
            raise Refused("transaction_immutable", f"The transaction is {transaction['status']}.")
        transaction["custom_data"] = sent["custom_data"]
        state.tell("transaction.updated", transaction)
    return transaction


def invoice(call: Call, state: State, transaction_id: str) -> Entity:
    """A link to the PDF that works for an hour; only what was charged and is completed has one."""
    transaction = state.get("txn", transaction_id)
    disposition = call.query.get("disposition", "attachment")
    if disposition not in {"attachment", "inline"}:
        raise invalid("disposition", "must be attachment or inline")
    if not transaction["invoice_number"]:
        raise unknown(f"invoice of {transaction_id}")
    path = f"/invoices/{transaction_id}.pdf"
    return {"url": links.signed(call.base, path, key=state.secret, disposition=disposition)}


ROUTES: list[Route] = [
    ("POST", "/transactions", create_transaction),
    ("POST", "/transactions/preview", preview_transaction),
    ("GET", "/transactions", list_transactions),
    ("GET", f"/transactions/{ID}", get_transaction),
    ("PATCH", f"/transactions/{ID}", change_transaction),
    ("GET", f"/transactions/{ID}/invoice", invoice),
]


def _with_parties(call: Call, state: State, transaction: Entity) -> Entity:
    included: Entity = {}
    for name in asked_for(call, "customer", "address", "adjustments"):
        if name == "adjustments":
            included[name] = adjustments.of_transaction(state, transaction["id"])
        else:
            party = transaction[f"{name}_id"]
            included[name] = party and state.get({"customer": "ctm", "address": "add"}[name], party)
    return transaction | included
