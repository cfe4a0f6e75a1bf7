"""What people see: the checkout, the customer portal, invoices, and the operator's panel."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from django.template import Context, Engine

from billing.simulator import schemas
from billing.simulator.commerce import checkout, money, subscriptions, transactions
from billing.simulator.errors import Refused, unknown
from billing.simulator.pages import invoices, links, panel
from billing.simulator.schemas import Entity
from billing.simulator.state import State
from billing.simulator.world import World

if TYPE_CHECKING:
    from billing.simulator.api.calls import Call

FOLDER = Path(__file__).parent / "templates"
ENGINE = Engine(dirs=[str(FOLDER)], autoescape=True)
STYLE = (FOLDER / "style.css").read_bytes()
# A form may be answered with a way back to the dashboard, which browsers count as a target of the form.
BACK = "http://localhost:* http://127.0.0.1:*"
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
    f"frame-ancestors 'none'; form-action 'self' {BACK}",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    content_type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


def answer(world: World, call: Call) -> Reply:
    """The page at a path, or what its form leads to. What is refused is said on a page of its own."""
    try:
        return _route(world, call)
    except Refused as refused:
        said = refused.errors[0][1] if refused.errors else refused.detail
        return render("message.html", {"said": said}, status=refused.status)


def render(template: str, context: Entity, *, status: int = 200) -> Reply:
    page = ENGINE.get_template(template).render(Context(context, use_l10n=False, use_tz=False))
    return Reply(status, page.encode(), headers=HEADERS)


def _route(world: World, call: Call) -> Reply:
    parts = call.path.strip("/").split("/")
    match (call.method, *parts):
        case ("GET", "style.css"):
            return Reply(200, STYLE, "text/css; charset=utf-8", {"Cache-Control": "no-cache"})
        case ("GET", ""):
            with world.lock:
                return render("panel.html", panel.view(world, said=call.query.get("said", "")))
        case ("POST", "panel", verb):
            return _to(panel.press(world, verb, _form(call)))
        case ("GET", "checkout", transaction_id):
            return _checkout(world, call, transaction_id)
        case ("POST", "checkout", transaction_id, "pay"):
            return _pay(world, call, transaction_id)
        case ("POST", "checkout", transaction_id, "close"):
            return _close(world, call, transaction_id)
        case ("GET", "portal", customer_id):
            return _portal(world, call, customer_id)
        case ("POST", "portal", customer_id, verb):
            return _in_portal(world, call, customer_id, verb)
        case ("GET", "invoices", name):
            return _invoice(world, call, name.removesuffix(".pdf"))
    raise unknown(call.path)


def _checkout(world: World, call: Call, transaction_id: str) -> Reply:
    return_to = call.query.get("return_to", "")
    with world.lock:
        state = world.state
        transaction = state.get("txn", transaction_id)
        context = {
            "transaction": transaction,
            "bill": bill_of(state, transaction),
            "customer": transaction["customer_id"] and state.get("ctm", transaction["customer_id"]),
            "payable": transaction["status"] in checkout.PAYABLE,
            "charged": int(transaction["details"]["totals"]["grand_total"]) > 0,
            "declined": bool(transaction["payments"]) and transaction["payments"][0]["error_code"],
            "renews_card": transaction["origin"] == "subscription_payment_method_change",
            "return_to": return_to,
            "back": checkout.return_url(state, return_to, "closed"),
        }
    return render("checkout.html", context)


def bill_of(state: State, transaction: Entity) -> Entity:
    """What is bought as a customer reads it; tax is shown before Paddle knows the address, too."""
    shown = schemas.copied(transaction)
    if shown["status"] == "draft":
        transactions.tax_for(state, shown, "")
    currency, details = shown["currency_code"], shown["details"]
    totals = {name: money.written(details["totals"][name], currency) for name in ("subtotal", "tax", "grand_total")}
    credit = int(details["totals"]["credit"])
    lines = [
        {
            "name": line["product"]["name"],
            "terms": _terms(item["price"]),
            "quantity": f"{line['quantity']:,}",
            "many": line["quantity"] != 1,
            "amount": money.written(line["totals"]["subtotal"], currency),
        }
        for item, line in zip(shown["items"], details["line_items"], strict=True)
    ]
    return totals | {"lines": lines, "credit": credit and money.written(-credit, currency)}


def _terms(price: Entity) -> str:
    unit = money.written(price["unit_price"]["amount"], price["unit_price"]["currency_code"])
    if not price["billing_cycle"]:
        return f"{unit} each, once"
    every = f"{unit} every {_span(price['billing_cycle'])}"
    return f"{_span(price['trial_period'], one='1 ')} free, then {every}" if price["trial_period"] else every


def _span(duration: Entity, *, one: str = "") -> str:
    count, name = duration["frequency"], duration["interval"]
    return f"{one}{name}" if count == 1 else f"{count} {name}s"


def _pay(world: World, call: Call, transaction_id: str) -> Reply:
    form = _form(call)
    back = checkout.return_url(world.state, form.get("return_to", ""), "completed")
    paid = world.pay(transaction_id, form.get("card", ""), email=form.get("email", ""))
    if paid["status"] == "completed":
        return _to(back)
    return _to(f"/checkout/{transaction_id}?{urlencode({'return_to': form.get('return_to', '')})}")


def _close(world: World, call: Call, transaction_id: str) -> Reply:
    with world.lock:
        world.state.get("txn", transaction_id)
    return _to(checkout.return_url(world.state, _form(call).get("return_to", ""), "closed"))


def _portal(world: World, call: Call, customer_id: str) -> Reply:
    _check_link(world, call, f"/portal/{customer_id}")
    with world.lock:
        state = world.state
        context = {
            "customer": state.get("ctm", customer_id),
            "link": urlencode(call.query),
            "subscriptions": [_running(row) for row in state.rows("sub") if row["customer_id"] == customer_id],
            "invoices": [
                {
                    "number": row["invoice_number"],
                    "day": panel.day(row["billed_at"]),
                    "total": money.written(row["details"]["totals"]["grand_total"], row["currency_code"]),
                    "url": links.signed(call.base, f"/invoices/{row['id']}.pdf", key=state.secret),
                }
                for row in reversed(state.rows("txn"))
                if row["customer_id"] == customer_id and row["invoice_number"]
            ],
        }
    return render("portal.html", context)


def _running(subscription: Entity) -> Entity:
    change, at = subscription["scheduled_change"], subscription["next_billed_at"]
    return {
        "id": subscription["id"],
        "name": ", ".join(item["product"]["name"] for item in subscription["items"]),
        "tag": subscription["status"],
        "status": subscription["status"].replace("_", " "),
        "terms": _terms(subscription["items"][0]["price"]),
        "next": at and panel.day(at),
        "change": change and f"{change['action']} on {panel.day(change['effective_at'])}",
        "running": subscription["status"] != "canceled",
        "can_cancel": subscription["status"] != "canceled" and not change,
    }


def _in_portal(world: World, call: Call, customer_id: str, verb: str) -> Reply:
    """Cancel at the end of the period, or take a new card. The link must hold, and the subscription be theirs."""
    _check_link(world, call, f"/portal/{customer_id}")
    here = f"/portal/{customer_id}?{urlencode(call.query)}"
    with world.changing() as state:
        subscription = state.get("sub", _form(call).get("id", ""))
        if subscription["customer_id"] != customer_id:
            raise unknown(subscription["id"])
        if verb == "cancel":
            subscriptions.cancel(state, subscription, None)
            return _to(here)
        if verb == "card":
            transaction = subscriptions.card_update(state, subscription)
            return _to(f"/checkout/{transaction['id']}?{urlencode({'return_to': call.base + here})}")
    raise unknown(verb)


def _invoice(world: World, call: Call, transaction_id: str) -> Reply:
    _check_link(world, call, call.path)
    with world.lock:
        transaction = world.state.get("txn", transaction_id)
        body = invoices.pdf(transaction, world.state.get("ctm", transaction["customer_id"]))
    how = "inline" if call.query.get("disposition") == "inline" else "attachment"
    name = f"invoice-{transaction['invoice_number']}.pdf"
    return Reply(200, body, "application/pdf", {"Content-Disposition": f'{how}; filename="{name}"'})


def _check_link(world: World, call: Call, path: str) -> None:
    if not links.holds(path, call.query, key=world.state.secret):
        raise unknown("link, or it is older than an hour")


def _form(call: Call) -> dict[str, str]:
    return dict(parse_qsl(call.body.decode(errors="replace"), keep_blank_values=True))


def _to(url: str) -> Reply:
    return Reply(303, b"", headers={"Location": url, "Cache-Control": "no-store"})
