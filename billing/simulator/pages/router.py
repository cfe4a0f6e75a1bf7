"""The pages for people: the checkout, the customer portal, invoices, and the panel."""

from __future__ import annotations

from billing.simulator.errors import RequestError, not_found
from billing.simulator.http import Request, Response
from billing.simulator.pages import buttons, checkout, panel, portal
from billing.simulator.pages.rendering import form_of, redirect, render, style_sheet
from billing.simulator.world import World


def respond(world: World, request: Request) -> Response:
    """Returns the page at a path, or what its form leads to. A refused request gets a page with the reason."""
    try:
        return _route(world, request)
    except RequestError as error:
        return render("message.html", {"said": error.message}, status=error.status)


def _route(world: World, request: Request) -> Response:
    parts = request.path.strip("/").split("/")
    match (request.method, *parts):
        case ("GET", "style.css"):
            return style_sheet()
        case ("GET", ""):
            return panel.show(world, said=request.query.get("said", ""))
        case ("POST", "panel", verb):
            return redirect(buttons.press(world, verb, form_of(request)))
        case ("GET", "checkout", transaction_id):
            return checkout.show(world, request, transaction_id)
        case ("POST", "checkout", transaction_id, "pay"):
            return checkout.pay(world, request, transaction_id)
        case ("POST", "checkout", transaction_id, "close"):
            return checkout.close(world, request, transaction_id)
        case ("GET", "portal", customer_id):
            return portal.show(world, request, customer_id)
        case ("POST", "portal", customer_id, verb):
            return portal.press(world, request, customer_id, verb)
        case ("GET", "invoices", name):
            return portal.invoice(world, request, name.removesuffix(".pdf"))
    raise not_found(request.path)
