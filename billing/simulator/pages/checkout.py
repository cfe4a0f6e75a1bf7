"""The checkout page, on which a customer pays with one of the simulated cards."""

from __future__ import annotations

from copy import deepcopy
from urllib.parse import urlencode

from billing.simulator.commerce import checkout, money, transactions
from billing.simulator.http import Request, Response
from billing.simulator.pages.rendering import form_of, redirect, render
from billing.simulator.schemas.catalogue import Price
from billing.simulator.schemas.times import Duration
from billing.simulator.schemas.transactions import Transaction
from billing.simulator.state import State
from billing.simulator.world import World


def show(world: World, request: Request, transaction_id: str) -> Response:
    return_to = request.query.get("return_to", "")
    with world.lock:
        state = world.state
        transaction = state.transactions.get(transaction_id)
        context = {
            "transaction": transaction,
            "bill": _bill(state, transaction),
            "customer": state.customers.find(transaction["customer_id"]),
            "payable": transaction["status"] in transactions.UNPAID,
            "charged": int(transaction["details"]["totals"]["grand_total"]) > 0,
            "declined": bool(transaction["payments"]) and transaction["payments"][0]["error_code"],
            "renews_card": transaction["origin"] == "subscription_payment_method_change",
            "return_to": return_to,
            "back": checkout.return_url(state, return_to, "closed"),
        }
    return render("checkout.html", context)


def pay(world: World, request: Request, transaction_id: str) -> Response:
    form = form_of(request)
    back = checkout.return_url(world.state, form.get("return_to", ""), "completed")
    paid = world.pay(transaction_id, form.get("card", ""), email=form.get("email", ""))
    if paid["status"] == "completed":
        return redirect(back)
    return redirect(f"/checkout/{transaction_id}?{urlencode({'return_to': form.get('return_to', '')})}")


def close(world: World, request: Request, transaction_id: str) -> Response:
    with world.lock:
        world.state.transactions.get(transaction_id)
    return redirect(checkout.return_url(world.state, form_of(request).get("return_to", ""), "closed"))


def terms(price: Price) -> str:
    """Returns how a price is charged: `14 days free, then $15.00 every month`."""
    unit = money.written(price["unit_price"]["amount"], price["unit_price"]["currency_code"])
    if not price["billing_cycle"]:
        return f"{unit} each, once"
    every = f"{unit} every {_span(price['billing_cycle'])}"
    return f"{_span(price['trial_period'], one='1 ')} free, then {every}" if price["trial_period"] else every


def _bill(state: State, transaction: Transaction) -> dict[str, object]:
    copy = deepcopy(transaction)
    # A draft has no address and no tax yet, but the customer is to see what will be charged.
    if copy["status"] == "draft":
        transactions.add_tax(state, copy, "")
    currency, details = copy["currency_code"], copy["details"]
    totals, credit = details["totals"], int(details["totals"]["credit"])
    lines = [
        {
            "name": line["product"]["name"],
            "terms": terms(item["price"]),
            "quantity": f"{line['quantity']:,}",
            "many": line["quantity"] != 1,
            "amount": money.written(line["totals"]["subtotal"], currency),
        }
        for item, line in zip(copy["items"], details["line_items"], strict=True)
    ]
    return {
        "subtotal": money.written(totals["subtotal"], currency),
        "tax": money.written(totals["tax"], currency),
        "grand_total": money.written(totals["grand_total"], currency),
        "lines": lines,
        "credit": credit and money.written(-credit, currency),
    }


def _span(duration: Duration, *, one: str = "") -> str:
    count, name = duration["frequency"], duration["interval"]
    return f"{one}{name}" if count == 1 else f"{count} {name}s"
