"""The panel, which shows the simulated account and everything that can be done to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from billing.simulator import faults, links
from billing.simulator.commerce import adjustments, money, transactions
from billing.simulator.commerce.subscriptions import rules
from billing.simulator.http import Response
from billing.simulator.pages.rendering import day, render
from billing.simulator.schemas.adjustments import Adjustment
from billing.simulator.schemas.customers import Customer
from billing.simulator.schemas.notifications import Delivery
from billing.simulator.schemas.subscriptions import Subscription
from billing.simulator.schemas.times import parse
from billing.simulator.schemas.transactions import Transaction
from billing.simulator.state import State
from billing.simulator.world import World

SHOWN = 40
MODES = {
    "hold": "Hold webhooks back",
    "duplicate": "Send each webhook twice",
    "shuffle": "Send webhooks in random order",
    "approve_at_once": "Approve refunds at once",
}
Shown = dict[str, object]
Row = TypeVar("Row")


def show(world: World, *, said: str) -> Response:
    """`said` is what became of the last button, if it was refused."""
    with world.lock:
        return render("panel.html", _context(world, said))


def _context(world: World, said: str) -> Shown:
    state = world.state
    emails = {row["id"]: row["email"] for row in state.customers.rows()}
    return {
        "said": said,
        "now": f"{state.now():%A} {day(state.now().isoformat())}, {state.now():%H:%M} UTC",
        "modes": [{"name": name, "label": label, "on": state.memory.modes[name]} for name, label in MODES.items()],
        "waiting": sum(row["left"] > 0 for row in state.deliveries.rows()),
        "kinds": faults.KINDS,
        "faults": [
            f"{fault.times} × {faults.KINDS[fault.kind]} ({fault.method or 'any method'} {fault.path})"
            for fault in world.faults.waiting
        ],
        "subscriptions": [_subscription(state, row, emails) for row in _newest(state.subscriptions.rows())],
        "transactions": [_transaction(state, row, emails) for row in _newest(state.transactions.rows())],
        "adjustments": [_adjustment(row, emails) for row in _newest(state.adjustments.rows())],
        "customers": [_customer(state, row) for row in _newest(state.customers.rows())],
        "deliveries": [_delivery(state, row, emails) for row in _newest(state.deliveries.rows())],
        "settings": state.settings.rows(),
    }


def _newest(rows: Sequence[Row]) -> Sequence[Row]:
    return rows[: -SHOWN - 1 : -1]


def _status(status: str) -> Shown:
    """The word as Paddle writes it, which the style sheet colours, and as people do."""
    return {"tag": status, "status": status.replace("_", " ")}


def _subscription(state: State, row: Subscription, emails: Mapping[str, str]) -> Shown:
    change, behind, period = row["scheduled_change"], state.backstage(row), row["current_billing_period"]
    return {
        "id": row["id"],
        "email": emails[row["customer_id"]],
        "plan": ", ".join(item["product"]["name"] for item in row["items"]),
        **_status(row["status"]),
        "period": period and f"{day(period['starts_at'])} – {day(period['ends_at'])}",
        "next": row["next_billed_at"] and day(row["next_billed_at"]),
        "change": change and f"{change['action']} on {day(change['effective_at'])}",
        "card": "declined" if behind["card"] == "fails" else "good",
        "running": row["status"] in rules.RUNNING,
        "overdue": behind["overdue"],
        "paused": row["status"] == "paused",
        "ended": row["status"] == "canceled",
    }


def _transaction(state: State, row: Transaction, emails: Mapping[str, str]) -> Shown:
    currency, details = row["currency_code"], row["details"]
    left = sum(amount for amount in adjustments.left_of(state, row).values() if amount > 0)
    return {
        "id": row["id"],
        "email": emails.get(row["customer_id"] or "", "nobody yet"),
        "what": ", ".join(f"{line['quantity']:,} × {line['product']['name']}" for line in details["line_items"]),
        "origin": row["origin"].replace("_", " "),
        **_status(row["status"]),
        "day": day(row["created_at"]),
        "total": money.written(details["totals"]["grand_total"], currency),
        "adjusted": details["adjusted_totals"]["total"] != details["totals"]["total"]
        and money.written(details["adjusted_totals"]["grand_total"], currency),
        "payable": row["status"] in transactions.UNPAID,
        "refundable": row["status"] == "completed" and left > 0,
    }


def _adjustment(row: Adjustment, emails: Mapping[str, str]) -> Shown:
    return {
        "id": row["id"],
        "email": emails[row["customer_id"]],
        "transaction": row["transaction_id"],
        "action": row["action"].replace("_", " "),
        **_status(row["status"]),
        "day": day(row["created_at"]),
        "total": money.written(row["totals"]["total"], row["currency_code"]),
        "pending": row["status"] == "pending_approval",
        "reversible": row["status"] == "approved" and row["action"] in adjustments.REVERSES,
    }


def _customer(state: State, row: Customer) -> Shown:
    owed = state.memory.balances.get(row["id"], {})
    return {
        "id": row["id"],
        "email": row["email"],
        "name": row["name"] or "",
        "day": day(row["created_at"]),
        "credit": ", ".join(money.written(amount, currency) for currency, amount in owed.items() if amount),
        "portal": links.portal("", row["id"], key=state.secret),
    }


def _delivery(state: State, row: Delivery, emails: Mapping[str, str]) -> Shown:
    event = state.event(row["event_id"])
    return {
        "id": row["id"],
        "type": event["event_type"],
        "email": emails.get(row["customer_id"], ""),
        "at": f"{day(event['occurred_at'])}, {parse(event['occurred_at']):%H:%M:%S}",
        **_status(row["status"]),
        "times": row["times_attempted"],
        "answer": row["answer"],
        "replayable": row["origin"] == "event",
    }
