"""Changes of a subscription: its items, its renewal date, its custom data, its scheduled change."""

from __future__ import annotations

from billing.simulator.bodies.subscriptions import SubscriptionChange
from billing.simulator.commerce import transactions
from billing.simulator.commerce.subscriptions import charges, collection, periods, proration, rules
from billing.simulator.commerce.subscriptions.proration import ItemChange
from billing.simulator.errors import RequestError, invalid_field
from billing.simulator.schemas.subscriptions import Subscription
from billing.simulator.schemas.times import Period, iso
from billing.simulator.schemas.transactions import Transaction
from billing.simulator.state import State

ON_TRIAL = {"items", "next_billed_at", "proration_billing_mode", "on_payment_failure", "scheduled_change"}
BILLED = {"items", "next_billed_at"}


def change(state: State, subscription: Subscription, body: SubscriptionChange) -> None:
    """Apply the fields that were sent, all of them or none. Raises `RequestError`."""
    planned, bill = plan(state, subscription, body)
    declined = bill and collection.will_decline(state, subscription, bill)
    if declined and body.on_payment_failure == "prevent_change":
        raise RequestError("subscription_payment_declined", "The payment was declined; nothing was changed.")
    if bill:
        transactions.issue(state, bill)
    apply(subscription, body, planned)
    behind = state.backstage(subscription)
    if planned and planned.period:
        behind["anchor"] = planned.period["starts_at"]
    if body.next_billed_at:
        behind["anchor"] = iso(body.next_billed_at)
    if planned:
        charges.put_off(state, subscription, planned.later)
    state.emit("subscription.updated", subscription)
    # A declined card makes it past due, with the change applied.
    if bill:
        collection.collect(state, subscription, bill)


def plan(
    state: State, subscription: Subscription, body: SubscriptionChange
) -> tuple[ItemChange | None, Transaction | None]:
    """Returns the change of the items and its bill, if there are any; nothing is done yet. Raises `RequestError`."""
    _check(state, subscription, body)
    planned = proration.plan(state, subscription, body)
    if not planned or not planned.now:
        return planned, None
    first = planned.now[0].proration
    period = planned.period or (first and first["billing_period"]) or subscription["current_billing_period"]
    bill = transactions.bill(state, subscription, planned.now, origin="subscription_update", period=period)
    transactions.check_minimum(state, bill, code="subscription_update_transaction_balance_less_than_charge_limit")
    return planned, bill


def apply(subscription: Subscription, body: SubscriptionChange, planned: ItemChange | None) -> None:
    """Change the entity alone; nothing is billed, stored or told."""
    if "scheduled_change" in body.model_fields_set:
        periods.undo_scheduled_change(subscription)
    if "custom_data" in body.model_fields_set:
        subscription["custom_data"] = body.custom_data
    if planned:
        subscription["items"] = planned.items
        subscription["billing_cycle"] = proration.shared_cycle(planned.items)
        if planned.period:
            _move_period(subscription, planned.period)
    if body.next_billed_at:
        current = periods.running_period(subscription)
        _move_period(subscription, {**current, "ends_at": iso(body.next_billed_at)})


def _move_period(subscription: Subscription, period: Period) -> None:
    subscription |= {"current_billing_period": period, "next_billed_at": period["ends_at"]}
    for item in subscription["items"]:
        item["next_billed_at"] = period["ends_at"]
        if item["status"] == "trialing":
            item["trial_dates"] = period


def _check(state: State, subscription: Subscription, body: SubscriptionChange) -> None:
    sent = body.model_fields_set
    rules.check_changeable(subscription, past_due=not BILLED & sent)
    if body.scheduled_change is not None:
        raise RequestError("subscription_scheduled_change_invalid_update", "scheduled_change can only be set to null.")
    if subscription["status"] == "trialing":
        _check_trial(body)
    if BILLED & sent:
        _check_billing(state, subscription, body)


def _check_trial(body: SubscriptionChange) -> None:
    if body.model_fields_set - ON_TRIAL:
        raise RequestError(
            "subscription_update_when_trialing", "While trialing only items and next_billed_at may change."
        )
    if {"items", "proration_billing_mode"} <= body.model_fields_set and body.proration_billing_mode != "do_not_bill":
        detail = "While trialing items may only change with do_not_bill."
        raise RequestError("subscription_trialing_items_update_invalid_options", detail)


def _check_billing(state: State, subscription: Subscription, body: SubscriptionChange) -> None:
    rules.check_renewal_lock(state, subscription)
    mode = body.proration_billing_mode
    if mode is None:
        detail = "proration_billing_mode is required when items or next_billed_at change."
        raise RequestError("subscription_items_update_missing_proration_billing_mode", detail)
    if subscription["status"] == "paused" and mode != "do_not_bill":
        detail = "A paused subscription may only change with do_not_bill."
        raise RequestError("subscription_incorrect_proration_on_paused_subscription", detail)
    ours = {row["id"] for row in transactions.of_subscription(state, subscription)}
    pending = (row for row in state.adjustments.rows() if row["status"] == "pending_approval")
    if any(row["transaction_id"] in ours for row in pending):
        raise RequestError("subscription_outstanding_pending_refund", "A refund of this subscription is pending.")
    if "next_billed_at" in body.model_fields_set:
        _check_next_billed_at(state, body, mode)


def _check_next_billed_at(state: State, body: SubscriptionChange, mode: str) -> None:
    if mode != "do_not_bill":
        raise invalid_field("next_billed_at", "The simulator moves it with do_not_bill only.")
    if body.next_billed_at and body.next_billed_at - state.now() < rules.LOCKED_BEFORE_RENEWAL:
        raise RequestError(
            "subscription_next_billed_at_too_soon", "next_billed_at must be 30 minutes from now or later."
        )
