"""The operator's panel: what stands on it, and what its buttons do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from urllib.parse import urlencode

from billing.simulator import faults
from billing.simulator.commerce import adjustments, checkout, money
from billing.simulator.errors import Refused, invalid, unknown
from billing.simulator.pages import links
from billing.simulator.schemas import Entity, moment_of
from billing.simulator.state import State
from billing.simulator.webhooks import deliveries
from billing.simulator.world import World

SHOWN = 40
Form = Mapping[str, str]
MODES = {
    "hold": "Hold webhooks back",
    "duplicate": "Send each webhook twice",
    "shuffle": "Send webhooks in random order",
    "approve_at_once": "Approve refunds at once",
}


def view(world: World, *, said: str) -> Entity:
    """Everything the panel shows, as text. The newest comes first."""
    state = world.state
    emails = {row["id"]: row["email"] for row in state.rows("ctm")}
    return {
        "said": said,
        "now": f"{state.now():%A} {day(state.now().isoformat())}, {state.now():%H:%M} UTC",
        "modes": [{"name": name, "label": label, "on": state.memory.modes[name]} for name, label in MODES.items()],
        "waiting": sum(row["left"] > 0 for row in state.rows("ntf")),
        "kinds": faults.KINDS,
        "faults": [
            f"{fault.times} × {faults.KINDS[fault.kind]} ({fault.method or 'any method'} {fault.path})"
            for fault in world.faults.waiting
        ],
        "subscriptions": [_subscription(state, row, emails) for row in _newest(state, "sub")],
        "transactions": [_transaction(state, row, emails) for row in _newest(state, "txn")],
        "adjustments": [_adjustment(row, emails) for row in _newest(state, "adj")],
        "customers": [_customer(state, row) for row in _newest(state, "ctm")],
        "deliveries": [_delivery(state, row, emails) for row in _newest(state, "ntf")],
        "settings": state.rows("ntfset"),
    }


def press(world: World, verb: str, form: Form) -> str:
    """Do what a button says; answers where to go next. What is refused is told on the panel."""
    act = VERBS.get(verb)
    if act is None:
        raise unknown(f"panel/{verb}")
    try:
        act(world, form)
    except Refused as refused:
        said = refused.errors[0][1] if refused.errors else refused.detail
        return f"/?{urlencode({'said': said})}"
    except ValueError as error:
        return f"/?{urlencode({'said': str(error)})}"
    return f"/#{section}" if (section := form.get("section", "")).isalpha() else "/"


def day(moment: str) -> str:
    return f"{moment_of(moment):%d %b %Y}".lstrip("0")


def _status(row: Entity) -> Entity:
    """The word as Paddle writes it, which the style sheet colours, and as people do."""
    return {"tag": row["status"], "status": row["status"].replace("_", " ")}


def _newest(state: State, prefix: str) -> list[Entity]:
    return state.rows(prefix)[: -SHOWN - 1 : -1]


def _subscription(state: State, row: Entity, emails: Mapping[str, str]) -> Entity:
    change, behind, period = row["scheduled_change"], state.memory.backstage[row["id"]], row["current_billing_period"]
    return {
        "id": row["id"],
        "email": emails[row["customer_id"]],
        "plan": ", ".join(item["product"]["name"] for item in row["items"]),
        **_status(row),
        "period": period and f"{day(period['starts_at'])} – {day(period['ends_at'])}",
        "next": row["next_billed_at"] and day(row["next_billed_at"]),
        "change": change and f"{change['action']} on {day(change['effective_at'])}",
        "card": "declined" if behind["card"] == "fails" else "good",
        "running": row["status"] in {"active", "trialing"},
        "overdue": behind["overdue"],
        "paused": row["status"] == "paused",
        "ended": row["status"] == "canceled",
    }


def _transaction(state: State, row: Entity, emails: Mapping[str, str]) -> Entity:
    currency, details = row["currency_code"], row["details"]
    left = sum(amount for amount in adjustments.left_of(state, row).values() if amount > 0)
    return {
        "id": row["id"],
        "email": emails.get(row["customer_id"], "nobody yet"),
        "what": ", ".join(f"{line['quantity']:,} × {line['product']['name']}" for line in details["line_items"]),
        "origin": row["origin"].replace("_", " "),
        **_status(row),
        "day": day(row["created_at"]),
        "total": money.written(details["totals"]["grand_total"], currency),
        "adjusted": details["adjusted_totals"]["total"] != details["totals"]["total"]
        and money.written(details["adjusted_totals"]["grand_total"], currency),
        "payable": row["status"] in checkout.PAYABLE,
        "refundable": row["status"] == "completed" and left > 0,
    }


def _adjustment(row: Entity, emails: Mapping[str, str]) -> Entity:
    return {
        "id": row["id"],
        "email": emails[row["customer_id"]],
        "transaction": row["transaction_id"],
        "action": row["action"].replace("_", " "),
        **_status(row),
        "day": day(row["created_at"]),
        "total": money.written(row["totals"]["total"], row["currency_code"]),
        "pending": row["status"] == "pending_approval",
        "reversible": row["status"] == "approved" and row["action"] in {"chargeback", "chargeback_warning"},
    }


def _customer(state: State, row: Entity) -> Entity:
    owed = state.memory.balances.get(row["id"], {})
    return {
        "id": row["id"],
        "email": row["email"],
        "name": row["name"] or "",
        "day": day(row["created_at"]),
        "credit": ", ".join(money.written(amount, currency) for currency, amount in owed.items() if amount),
        "portal": links.signed("", f"/portal/{row['id']}", key=state.secret),
    }


def _delivery(state: State, row: Entity, emails: Mapping[str, str]) -> Entity:
    event = state.get("evt", row["event_id"])
    return {
        "id": row["id"],
        "type": event["event_type"],
        "email": emails.get(row["customer_id"], ""),
        "at": f"{day(event['occurred_at'])}, {moment_of(event['occurred_at']):%H:%M:%S}",
        **_status(row),
        "times": row["times_attempted"],
        "answer": row["answer"],
        "replayable": row["origin"] == "event",
    }


def _refund(world: World, form: Form) -> None:
    """All that is left, or an amount spread over the lines in their order; pending unless approved at once."""
    transaction_id, text = form.get("id", ""), form.get("amount", "").strip()
    if not text:
        world.refund(transaction_id, approve=False)
        return
    with world.lock:
        left = adjustments.left_of(world.state, world.state.get("txn", transaction_id))
    rest, amounts = _minor_units(text), dict[str, int]()
    for line_id, most in left.items():
        if rest > 0 and most > 0:
            amounts[line_id] = min(rest, most)
            rest -= amounts[line_id]
    if rest:
        raise invalid("amount", "That is more than is left of the transaction.")
    world.refund(transaction_id, amounts, approve=False)


def _minor_units(text: str) -> int:
    try:
        cents = Decimal(text.lstrip("$€£")) * 100
    except InvalidOperation:
        raise invalid("amount", f"{text!r} is no amount.") from None
    if not cents.is_finite() or cents != cents.to_integral_value() or cents <= 0:
        raise invalid("amount", "The amount must be above zero, with two decimals at most.")
    return int(cents)


def _move(world: World, form: Form) -> None:
    text = form.get("days", "")
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 3660):
        raise invalid("days", "Move the clock by 1 to 3,660 days.")
    world.move(timedelta(days=int(text)))


def _switch(world: World, form: Form) -> None:
    world.switch(form.get("name", ""), form.get("on") == "1")


def _fault(world: World, form: Form) -> None:
    times, seconds = form.get("times", "1"), form.get("seconds", "10")
    if not (times.isdigit() and seconds.isdigit() and int(times) <= 1000 and int(seconds) <= 600):
        raise invalid("times", "Give whole numbers: up to 1,000 calls, up to 600 seconds.")
    world.faults.add(
        form.get("kind", ""),
        method=form.get("method", ""),
        path=form.get("path", "") or "/",
        times=int(times),
        seconds=int(seconds),
    )


def _clear_faults(world: World, form: Form) -> None:
    world.faults.clear()


def _replay(world: World, form: Form) -> None:
    with world.changing() as state:
        deliveries.replay(state, state.get("ntf", form.get("id", "")))


def _on(verb: Callable[[World, str], object]) -> Callable[[World, Form], object]:
    """A button beside one entity, whose id it sends."""
    return lambda world, form: verb(world, form.get("id", ""))


VERBS: dict[str, Callable[[World, Form], object]] = {
    "renew": _on(World.renew),
    "to-renewal": _on(World.move_to_renewal),
    "fail": _on(World.fail_next_payment),
    "good": _on(World.card_good_again),
    "pay": _on(World.pay_overdue),
    "pause": _on(World.pause),
    "resume": _on(World.resume),
    "cancel": _on(World.cancel_now),
    "refund": _refund,
    "chargeback": _on(World.charge_back),
    "warn": _on(lambda world, transaction_id: world.charge_back(transaction_id, warning=True)),
    "approve": _on(World.approve),
    "reject": _on(World.reject),
    "reverse": _on(World.reverse),
    "replay": _replay,
    "move": _move,
    "switch": _switch,
    "fault": _fault,
    "clear-faults": _clear_faults,
}
