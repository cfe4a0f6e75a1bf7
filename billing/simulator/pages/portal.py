"""The customer portal: subscriptions to cancel, cards to change, invoices to read. Only signed links lead here."""

from __future__ import annotations

from urllib.parse import urlencode

from billing.simulator import links
from billing.simulator.commerce import money
from billing.simulator.commerce.subscriptions import collection, lifecycle
from billing.simulator.errors import not_found
from billing.simulator.http import Request, Response
from billing.simulator.pages import invoices
from billing.simulator.pages.checkout import terms
from billing.simulator.pages.rendering import day, form_of, redirect, render
from billing.simulator.schemas.subscriptions import Subscription
from billing.simulator.schemas.transactions import Transaction
from billing.simulator.state import State
from billing.simulator.world import World


def show(world: World, request: Request, customer_id: str) -> Response:
    _check_link(world, request, f"/portal/{customer_id}")
    with world.lock:
        state = world.state
        theirs = [row for row in state.subscriptions.rows() if row["customer_id"] == customer_id]
        bills = [row for row in reversed(state.transactions.rows()) if row["customer_id"] == customer_id]
        context = {
            "customer": state.customers.get(customer_id),
            "link": urlencode(request.query),
            "subscriptions": [_subscription(row) for row in theirs],
            "invoices": [_invoice(state, request, row) for row in bills if row["invoice_number"]],
        }
    return render("portal.html", context)


def press(world: World, request: Request, customer_id: str, verb: str) -> Response:
    """Cancel at the end of the period, or open the checkout that takes a new card."""
    _check_link(world, request, f"/portal/{customer_id}")
    here = f"/portal/{customer_id}?{urlencode(request.query)}"
    with world.changing() as state:
        subscription = state.subscriptions.get(form_of(request).get("id", ""))
        # The link is for one customer; the form names any subscription.
        if subscription["customer_id"] != customer_id:
            raise not_found(subscription["id"])
        if verb == "cancel":
            lifecycle.cancel(state, subscription, None)
            return redirect(here)
        if verb == "card":
            transaction = collection.card_update(state, subscription)
            return redirect(f"/checkout/{transaction['id']}?{urlencode({'return_to': request.base + here})}")
    raise not_found(verb)


def invoice(world: World, request: Request, transaction_id: str) -> Response:
    _check_link(world, request, request.path)
    with world.lock:
        transaction = world.state.transactions.get(transaction_id)
        body = invoices.pdf(transaction, world.state.customers.get(transaction["customer_id"]))
    how = "inline" if request.query.get("disposition") == "inline" else "attachment"
    name = f"invoice-{transaction['invoice_number']}.pdf"
    return Response(200, body, "application/pdf", {"Content-Disposition": f'{how}; filename="{name}"'})


def _check_link(world: World, request: Request, path: str) -> None:
    if not links.is_valid(path, request.query, key=world.state.secret):
        raise not_found("link, or it is older than an hour")


def _subscription(subscription: Subscription) -> dict[str, object]:
    change, at = subscription["scheduled_change"], subscription["next_billed_at"]
    return {
        "id": subscription["id"],
        "name": ", ".join(item["product"]["name"] for item in subscription["items"]),
        "tag": subscription["status"],
        "status": subscription["status"].replace("_", " "),
        "terms": terms(subscription["items"][0]["price"]),
        "next": at and day(at),
        "change": change and f"{change['action']} on {day(change['effective_at'])}",
        "running": subscription["status"] != "canceled",
        "can_cancel": subscription["status"] != "canceled" and not change,
    }


def _invoice(state: State, request: Request, bill: Transaction) -> dict[str, object]:
    return {
        "number": bill["invoice_number"],
        "day": day(bill["billed_at"] or bill["created_at"]),
        "total": money.written(bill["details"]["totals"]["grand_total"], bill["currency_code"]),
        "url": links.signed(request.base, f"/invoices/{bill['id']}.pdf", key=state.secret),
    }
