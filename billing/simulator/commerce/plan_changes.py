"""What a subscription is changed to: its items, what that costs now and later, and what Paddle previews of it.

The prorated modes charge what is added and give back what is removed, for the part of the period that is left. The
full modes charge what is added in full and give nothing back, which is how we read Paddle's sentence on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from billing.simulator import schemas
from billing.simulator.commerce import catalogue, customers, money, subscriptions, transactions
from billing.simulator.commerce.transactions import Wanted
from billing.simulator.errors import Refused, invalid
from billing.simulator.schemas import Entity, iso, moment_of
from billing.simulator.state import State

LIMIT = "subscription_update_transaction_balance_less_than_charge_limit"
ON_TRIAL = {"items", "next_billed_at", "proration_billing_mode", "on_payment_failure", "scheduled_change"}


@dataclass(frozen=True)
class Change:
    """New items, the lines they bill now and with the next period, and the new period where the interval changes."""

    items: list[Entity]
    now: list[Wanted] = field(default_factory=list)
    later: list[Wanted] = field(default_factory=list)
    period: Entity | None = None


def change(state: State, subscription: Entity, given: Entity) -> None:
    """Apply the fields of a PATCH, all of them or none. Raises `Refused`."""
    _check(state, subscription, given)
    planned = _plan(state, subscription, given)
    bill = planned and _bill(state, subscription, planned)
    declined = bill and subscriptions.will_decline(state, subscription, bill)
    if declined and given.get("on_payment_failure", "prevent_change") == "prevent_change":
        raise Refused("subscription_payment_declined", "The payment was declined; nothing was changed.")
    if bill:
        transactions.issue(state, bill)
    _apply(state, subscription, given, planned)
    behind = subscriptions.backstage(state, subscription)
    if planned and planned.period:
        behind["anchor"] = planned.period["starts_at"]
    if given.get("next_billed_at"):
        behind["anchor"] = subscription["next_billed_at"]
    if planned:
        behind["pending"] += [line._asdict() for line in planned.later]
    state.tell("subscription.updated", subscription)
    if bill:
        subscriptions.collect(state, subscription, bill)


def preview(state: State, subscription: Entity, given: Entity) -> Entity:
    """What `change` would do, without doing it. Raises the same `Refused`."""
    _check(state, subscription, given)
    planned = _plan(state, subscription, given)
    bill = planned and _bill(state, subscription, planned)
    changed = schemas.copied(subscription)
    _apply(state, changed, given, planned)
    fields = {name: value for name, value in changed.items() if name != "id"}
    credit = customers.balance(state, subscription["customer_id"], subscription["currency_code"])
    if bill:
        totals = bill["details"]["totals"]
        credit += int(totals["credit_to_balance"]) - int(totals["credit"])
    later = planned.later if planned else []
    return fields | {
        "immediate_transaction": bill and shown(bill),
        "next_transaction": next_transaction(state, changed, more=later, credit=credit),
        "recurring_transaction_details": recurring_details(state, changed),
        "update_summary": planned and _summary(state, subscription, planned),
    }


def next_transaction(
    state: State, subscription: Entity, *, more: Sequence[Wanted] = (), credit: int | None = None
) -> Entity | None:
    """The next bill as it would be now, or None where none is to come."""
    at = subscription["next_billed_at"]
    if not at or subscription["status"] not in subscriptions.RUNNING | {"past_due"}:
        return None
    starts = moment_of(at)
    period = schemas.period(starts, starts + subscriptions.span(subscription["billing_cycle"]))
    wanted = [*subscriptions.next_wanted(state, subscription), *more]
    bill = transactions.bill(state, subscription, wanted, origin="subscription_recurring", period=period, credit=credit)
    return shown(bill)


def recurring_details(state: State, subscription: Entity) -> Entity:
    """What each further period costs, without credit and without what is billed once."""
    wanted = [Wanted(item["price"]["id"], item["quantity"]) for item in subscription["items"]]
    bill = transactions.bill(state, subscription, wanted, origin="subscription_recurring", period=None, credit=0)
    details: Entity = shown(bill)["details"]
    return details


def shown(bill: Entity) -> Entity:
    """A transaction that is only reckoned, as previews carry it."""
    details = {name: bill["details"][name] for name in ("tax_rates_used", "totals")}
    lines = [{name: value for name, value in line.items() if name != "id"} for line in bill["details"]["line_items"]]
    return {
        "billing_period": bill["billing_period"],
        "details": details | {"line_items": lines},
        "adjustments": [],
    }


def _check(state: State, subscription: Entity, given: Entity) -> None:
    status = subscription["status"]
    subscriptions.check_changeable(subscription, past_due=not {"items", "next_billed_at"} & given.keys())
    if given.get("scheduled_change") is not None:
        raise Refused("subscription_scheduled_change_invalid_update", "scheduled_change can only be set to null.")
    if status == "trialing":
        _check_trial(given)
    if {"items", "next_billed_at"} & given.keys():
        _check_billing(state, subscription, given)


def _check_trial(given: Entity) -> None:
    if given.keys() - ON_TRIAL:
        raise Refused("subscription_update_when_trialing", "While trialing only items and next_billed_at may change.")
    if "items" in given and given.get("proration_billing_mode", "do_not_bill") != "do_not_bill":
        detail = "While trialing items may only change with do_not_bill."
        raise Refused("subscription_trialing_items_update_invalid_options", detail)


def _check_billing(state: State, subscription: Entity, given: Entity) -> None:
    subscriptions.check_lock(state, subscription)
    mode = given.get("proration_billing_mode")
    if mode is None:
        detail = "proration_billing_mode is required when items or next_billed_at change."
        raise Refused("subscription_items_update_missing_proration_billing_mode", detail)
    if subscription["status"] == "paused" and mode != "do_not_bill":
        detail = "A paused subscription may only change with do_not_bill."
        raise Refused("subscription_incorrect_proration_on_paused_subscription", detail)
    ours = {row["id"] for row in transactions.of_subscription(state, subscription)}
    if any(row["status"] == "pending_approval" and row["transaction_id"] in ours for row in state.rows("adj")):
        raise Refused("subscription_outstanding_pending_refund", "A refund of this subscription is pending.")
    if "next_billed_at" in given:
        _check_next_billed_at(state, given, mode)


def _check_next_billed_at(state: State, given: Entity, mode: str) -> None:
    if mode != "do_not_bill":
        raise invalid("next_billed_at", "The simulator moves it with do_not_bill only.")
    if given["next_billed_at"] - state.now() < subscriptions.LOCKED_BEFORE_RENEWAL:
        raise Refused("subscription_next_billed_at_too_soon", "next_billed_at must be 30 minutes from now or later.")


def _plan(state: State, subscription: Entity, given: Entity) -> Change | None:
    if given.get("items") is None:
        return None
    now, mode = state.moment(), given["proration_billing_mode"]
    before = {item["price"]["id"]: item["quantity"] for item in subscription["items"]}
    after = _quantities(state, before, given["items"])
    items = [_item(state, subscription, price_id, quantity, now) for price_id, quantity in after.items()]
    cycle = _cycle(items)
    if cycle != subscription["billing_cycle"] and subscription["status"] == "active":
        return _change_of_interval(subscription, items, before, after, now, mode)
    deltas = {price_id: after.get(price_id, 0) - before.get(price_id, 0) for price_id in after | before}
    lines = _lines(subscription, deltas, now, mode)
    if mode.endswith("_next_billing_period"):
        return Change(items, later=lines)
    return Change(items, now=lines)


def _change_of_interval(
    subscription: Entity, items: list[Entity], before: dict[str, int], after: dict[str, int], now: datetime, mode: str
) -> Change:
    """A new period begins now; what was paid for the rest of the old one is given back where that is prorated."""
    if mode.endswith("_next_billing_period"):
        raise invalid("proration_billing_mode", "Another interval is billed immediately or not at all.")
    period = schemas.period(now, now + subscriptions.span(_cycle(items)))
    if mode == "do_not_bill":
        return Change(items, period=period)
    added = [Wanted(price_id, quantity) for price_id, quantity in after.items()]
    removed = _lines(subscription, {price_id: -quantity for price_id, quantity in before.items()}, now, mode)
    return Change(items, now=added + removed, period=period)


def _lines(subscription: Entity, deltas: dict[str, int], now: datetime, mode: str) -> list[Wanted]:
    """What is added before what is removed."""
    if mode == "do_not_bill":
        return []
    ordered = sorted(deltas.items(), key=lambda delta: delta[1] < 0)
    if mode.startswith("full"):
        return [Wanted(price_id, quantity) for price_id, quantity in ordered if quantity > 0]
    period = subscription["current_billing_period"]
    rest = {"starts_at": iso(now), "ends_at": period["ends_at"]}
    proration = {"rate": str(money.share_left(period, now)), "billing_period": rest}
    return [Wanted(price_id, quantity, proration) for price_id, quantity in ordered if quantity]


def _quantities(state: State, before: dict[str, int], wanted: Sequence[Entity]) -> dict[str, int]:
    after: dict[str, int] = {}
    for item in wanted:
        price_id = item["price_id"]
        quantity = item["quantity"] if item["quantity"] is not None else before.get(price_id)
        if quantity is None:
            detail = f"quantity is required for the new item {price_id}."
            raise Refused("subscription_quantity_missing_for_new_items", detail)
        if price_id in after:
            raise Refused("subscription_duplicate_price_ids", f"{price_id} is in the list twice.")
        catalogue.price_in(state, price_id, quantity, out_of_range="subscription_quantity_not_valid")
        after[price_id] = quantity
    return after


def _item(state: State, subscription: Entity, price_id: str, quantity: int, now: datetime) -> Entity:
    """An item that stays keeps its dates; a new one is billed with the others."""
    for item in subscription["items"]:
        if item["price"]["id"] == price_id:
            kept: Entity = item | {"quantity": quantity, "updated_at": iso(now)}
            return kept
    price = schemas.copied(state.get("pri", price_id))
    if not price["billing_cycle"]:
        raise Refused("subscription_new_items_not_valid", f"{price_id} is billed once; charge it instead.")
    product = schemas.copied(state.get("pro", price["product_id"]))
    made = schemas.subscription_item(iso(now), price=price, product=product, quantity=quantity)
    like = subscription["items"][0]
    return made | {name: like[name] for name in ("status", "trial_dates", "next_billed_at", "previously_billed_at")}


def _cycle(items: Sequence[Entity]) -> Entity:
    cycles = [item["price"]["billing_cycle"] for item in items]
    if any(cycle != cycles[0] for cycle in cycles):
        raise Refused("subscription_new_items_not_valid", "All items must share a billing cycle.")
    first: Entity = cycles[0]
    return first


def _bill(state: State, subscription: Entity, planned: Change) -> Entity | None:
    if not planned.now:
        return None
    period = planned.period or (planned.now[0].proration and planned.now[0].proration["billing_period"])
    bill = transactions.bill(
        state,
        subscription,
        planned.now,
        origin="subscription_update",
        period=period or subscription["current_billing_period"],
    )
    transactions.check_minimum(state, bill, code=LIMIT)
    return bill


def _apply(state: State, subscription: Entity, given: Entity, planned: Change | None) -> None:
    """Change the entity alone; nothing is billed, stored or told."""
    if "scheduled_change" in given:
        subscriptions.keep(state, subscription)
    if "custom_data" in given:
        subscription["custom_data"] = given["custom_data"]
    if planned:
        subscription["items"] = planned.items
        subscription["billing_cycle"] = _cycle(planned.items)
        if planned.period:
            _move_period(subscription, planned.period)
    if given.get("next_billed_at"):
        period = subscription["current_billing_period"]
        _move_period(subscription, period | {"ends_at": iso(given["next_billed_at"])})


def _move_period(subscription: Entity, period: Entity) -> None:
    subscription |= {"current_billing_period": period, "next_billed_at": period["ends_at"]}
    for item in subscription["items"]:
        item["next_billed_at"] = period["ends_at"]
        if item["status"] == "trialing":
            item["trial_dates"] = period


def _summary(state: State, subscription: Entity, planned: Change) -> Entity | None:
    """Paddle's `update_summary`: the result is unsigned, its action says which way the money goes."""
    wanted = planned.now or planned.later
    if not wanted:
        return None
    bill = transactions.bill(state, subscription, wanted, origin="subscription_update", period=None, credit=0)
    totals = [int(line["totals"]["total"]) for line in bill["details"]["line_items"]]
    charge, credit = sum(t for t in totals if t > 0), -sum(t for t in totals if t < 0)
    currency = {"currency_code": subscription["currency_code"]}
    action = "credit" if credit > charge else "charge"
    return {
        "credit": {"amount": str(credit)} | currency,
        "charge": {"amount": str(charge)} | currency,
        "result": {"action": action, "amount": str(abs(charge - credit))} | currency,
    }
