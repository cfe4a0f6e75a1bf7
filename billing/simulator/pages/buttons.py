"""The buttons of the panel, by the last part of their address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from urllib.parse import urlencode

from billing.simulator.commerce import adjustments
from billing.simulator.errors import RequestError, invalid_field, not_found
from billing.simulator.webhooks import deliveries
from billing.simulator.world import World

Form = Mapping[str, str]


def press(world: World, verb: str, form: Form) -> str:
    """Do what a button says. Returns the address to go to next; the panel there says what was refused."""
    act = VERBS.get(verb)
    if act is None:
        raise not_found(f"panel/{verb}")
    try:
        act(world, form)
    except RequestError as error:
        return f"/?{urlencode({'said': error.message})}"
    except ValueError as error:
        return f"/?{urlencode({'said': str(error)})}"
    return f"/#{section}" if (section := form.get("section", "")).isalpha() else "/"


def _refund(world: World, form: Form) -> None:
    """Refund all that is left, or an amount spread over the lines in their order."""
    transaction_id, text = form.get("id", ""), form.get("amount", "").strip()
    if not text:
        world.refund(transaction_id, approve=False)
        return
    with world.lock:
        left = adjustments.left_of(world.state, world.state.transactions.get(transaction_id))
    # The panel asks for one amount; the API wants it by line.
    rest, amounts = _minor_units(text), dict[str, int]()
    for line_id, most in left.items():
        if rest > 0 and most > 0:
            amounts[line_id] = min(rest, most)
            rest -= amounts[line_id]
    if rest:
        raise invalid_field("amount", "That is more than is left of the transaction.")
    world.refund(transaction_id, amounts, approve=False)


def _minor_units(text: str) -> int:
    try:
        cents = Decimal(text.lstrip("$€£")) * 100
    except InvalidOperation:
        raise invalid_field("amount", f"{text!r} is no amount.") from None
    if not cents.is_finite() or cents != cents.to_integral_value() or cents <= 0:
        raise invalid_field("amount", "The amount must be above zero, with two decimals at most.")
    return int(cents)


def _move(world: World, form: Form) -> None:
    text = form.get("days", "")
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 3660):
        raise invalid_field("days", "Move the clock by 1 to 3,660 days.")
    world.move(timedelta(days=int(text)))


def _switch(world: World, form: Form) -> None:
    world.switch(form.get("name", ""), form.get("on") == "1")


def _fault(world: World, form: Form) -> None:
    times, seconds = form.get("times", "1"), form.get("seconds", "10")
    if not (times.isdigit() and seconds.isdigit() and int(times) <= 1000 and int(seconds) <= 600):
        raise invalid_field("times", "Give whole numbers: up to 1,000 calls, up to 600 seconds.")
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
        deliveries.replay(state, state.deliveries.get(form.get("id", "")))


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
