"""The life of a subscription: how it begins, what falls due by itself, and how it renews and ends."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime, timedelta

from billing.simulator.commerce import transactions
from billing.simulator.commerce.subscriptions import collection, pauses, periods, rules
from billing.simulator.errors import RequestError
from billing.simulator.schemas import subscriptions as schemas
from billing.simulator.schemas.catalogue import Price, TrialPeriod
from billing.simulator.schemas.subscriptions import Subscription, SubscriptionItem
from billing.simulator.schemas.times import iso, parse, period
from billing.simulator.schemas.transactions import Transaction
from billing.simulator.state import State

# Paddle ends what could not be paid for this long.
PATIENCE = timedelta(days=30)


def begin(state: State, paid: Transaction, *, card: str) -> Subscription:
    """Create the subscription of a paid checkout, in its first period or its trial."""
    customer, address, billed_at = paid["customer_id"], paid["address_id"], paid["billed_at"]
    assert customer, "A paid transaction has a customer."
    assert address, "A paid transaction has an address."
    assert billed_at, "A paid transaction was billed."
    now, started = iso(state.moment()), parse(billed_at)
    identifier = state.new_id("sub")
    recurring = [item for item in paid["items"] if item["price"]["billing_cycle"]]
    made = schemas.subscription(
        identifier,
        now,
        started_at=iso(started),
        customer_id=customer,
        address_id=address,
        currency=paid["currency_code"],
        custom_data=deepcopy(paid["custom_data"]),
        items=[_item(state, item["price"], item["quantity"], now) for item in recurring],
    )
    state.memory.backstage[identifier] = {
        "card": "fails" if card == "fails_later" else "good",
        "anchor": iso(started),
        "pending": [],
        "overdue": None,
        "failed_at": None,
        "paused": None,
    }
    _start(state, made, started, made["items"][0]["price"]["trial_period"])
    state.subscriptions.add(made)
    state.emit("subscription.created", made, transaction_id=paid["id"])
    state.emit("subscription.trialing" if made["status"] == "trialing" else "subscription.activated", made)
    return made


def due_at(state: State, subscription: Subscription) -> datetime | None:
    """Returns when something happens to it by itself, if ever."""
    if subscription["status"] == "canceled":
        return None
    times = []
    change, failed = subscription["scheduled_change"], state.backstage(subscription)["failed_at"]
    if change:
        times.append(parse(change["effective_at"]))
    # A scheduled change comes at the renewal and takes its place.
    if subscription["status"] in rules.RUNNING and not change and subscription["next_billed_at"]:
        times.append(parse(subscription["next_billed_at"]))
    if subscription["status"] == "past_due" and failed:
        times.append(parse(failed) + PATIENCE)
    return min(times, default=None)


def fall_due(state: State, subscription: Subscription) -> None:
    """Do what is due now: the scheduled change, the end of Paddle's patience, or the renewal."""
    change = subscription["scheduled_change"]
    if change and parse(change["effective_at"]) <= state.now():
        match change["action"]:
            case "cancel":
                end(state, subscription)
            case "pause":
                pauses.begin(state, subscription)
            case "resume":
                pauses.end(state, subscription)
    elif subscription["status"] == "past_due":
        end(state, subscription)
    else:
        _renew(state, subscription)


def renew_now(state: State, subscription: Subscription) -> None:
    """End the period early, without moving the clock; the new one is counted from now."""
    rules.check_status(subscription, *rules.RUNNING)
    rules.check_unscheduled(subscription)
    _renew_from(state, subscription, iso(state.moment()))


def activate(state: State, subscription: Subscription) -> None:
    """End the trial now, with a charge."""
    if subscription["status"] != "trialing":
        raise RequestError("subscription_cannot_activate", "Only a trialing subscription can be activated.")
    now = iso(state.moment())
    for item in subscription["items"]:
        item["trial_dates"] = item["trial_dates"] and {**item["trial_dates"], "ends_at": now}
    _renew_from(state, subscription, now)


def cancel(state: State, subscription: Subscription, effective_from: str | None) -> None:
    """Cancel at the end of the period unless told `immediately`; a paused subscription has no period to wait for."""
    if subscription["status"] == "canceled":
        raise RequestError("subscription_is_canceled_action_invalid", "The subscription is canceled already.")
    if effective_from == "immediately" or subscription["status"] == "paused":
        end(state, subscription)
        return
    rules.check_renewal_lock(state, subscription)
    rules.check_unscheduled(subscription)
    periods.schedule(subscription, "cancel", periods.running_period(subscription)["ends_at"])
    state.emit("subscription.updated", subscription)


def end(state: State, subscription: Subscription) -> None:
    # An ended subscription owes nothing more.
    overdue = state.backstage(subscription)["overdue"]
    if overdue:
        transactions.cancel(state, state.transactions.get(overdue))
    state.backstage(subscription).update({"overdue": None, "failed_at": None, "pending": []})
    periods.set_status(subscription, "canceled")
    subscription |= {"canceled_at": iso(state.moment()), "scheduled_change": None, "current_billing_period": None}
    periods.bill_next(subscription, None)
    state.emit("subscription.canceled", subscription)


def _start(state: State, subscription: Subscription, started: datetime, trial: TrialPeriod | None) -> None:
    if not trial:
        subscription["first_billed_at"] = iso(started)
        periods.start_period(state, subscription, started)
        return
    ends = started + periods.span(trial)
    periods.set_status(subscription, "trialing")
    subscription["current_billing_period"] = period(started, ends)
    periods.bill_next(subscription, iso(ends))
    for item in subscription["items"]:
        item["trial_dates"] = subscription["current_billing_period"]
    # Paid periods are counted from the end of the trial.
    state.backstage(subscription)["anchor"] = iso(ends)


def _renew_from(state: State, subscription: Subscription, now: str) -> None:
    # Later periods are counted from the new start.
    state.backstage(subscription)["anchor"] = now
    subscription["next_billed_at"] = now
    _renew(state, subscription)


def _renew(state: State, subscription: Subscription) -> None:
    """Bill the period that begins when this one ends."""
    assert subscription["next_billed_at"], f"{subscription['id']} is not billed again."
    periods.start_period(state, subscription, parse(subscription["next_billed_at"]))
    # The new period shows before the payment, even if that fails.
    state.emit("subscription.updated", subscription)
    collection.bill_period(state, subscription)


def _item(state: State, price: Price, quantity: int, now: str) -> SubscriptionItem:
    product = deepcopy(state.products.get(price["product_id"]))
    return schemas.subscription_item(now, price=deepcopy(price), product=product, quantity=quantity)
