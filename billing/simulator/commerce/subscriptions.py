"""Subscriptions: how they begin, renew, fail, recover, pause, resume and end.

What falls due is done by `fall_due`, at the time it fell due. `backstage` of a subscription holds what Paddle knows and
doesn't tell: `card` (good or fails), `anchor` (the moment its periods are counted from), `pending` (lines for the next
bill), `overdue` (the transaction to be paid), `failed_at`, and `paused` (the period a pause cut short).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from dateutil.relativedelta import relativedelta

from billing.simulator import schemas
from billing.simulator.commerce import catalogue, transactions
from billing.simulator.commerce.transactions import Wanted
from billing.simulator.errors import Refused, invalid
from billing.simulator.schemas import Entity, iso, moment_of
from billing.simulator.state import State

# Paddle ends what could not be paid for this long.
PATIENCE = timedelta(days=30)
LOCKED_BEFORE_RENEWAL = timedelta(minutes=30)
RUNNING = {"active", "trialing"}


def begin(state: State, paid: Entity, *, card: str) -> Entity:
    """The subscription that a paid checkout makes, in its first period or its trial."""
    now = state.moment()
    started = moment_of(paid["billed_at"])
    made = schemas.subscription(state.new_id("sub"), iso(now), paid)
    made["custom_data"] = schemas.copied(paid["custom_data"])
    made["started_at"] = iso(started)
    made["items"] = [_item(state, item["price"], item["quantity"], iso(now)) for item in _recurring(paid)]
    first = made["items"][0]["price"]
    made["billing_cycle"] = first["billing_cycle"]
    state.memory.backstage[made["id"]] = {
        "card": "fails" if card == "fails_later" else "good",
        "anchor": iso(started),
        "pending": [],
        "overdue": None,
        "failed_at": None,
        "paused": None,
    }
    _first_period(state, made, started, first["trial_period"])
    state.add(made)
    state.tell("subscription.created", made, transaction_id=paid["id"])
    state.tell("subscription.trialing" if made["status"] == "trialing" else "subscription.activated", made)
    return made


def due_at(state: State, subscription: Entity) -> datetime | None:
    """When something happens to it by itself, if ever."""
    times = []
    change, failed = subscription["scheduled_change"], backstage(state, subscription)["failed_at"]
    if subscription["status"] == "canceled":
        return None
    if change:
        times.append(moment_of(change["effective_at"]))
    if subscription["status"] in RUNNING and not change and subscription["next_billed_at"]:
        times.append(moment_of(subscription["next_billed_at"]))
    if subscription["status"] == "past_due" and failed:
        times.append(moment_of(failed) + PATIENCE)
    return min(times, default=None)


def fall_due(state: State, subscription: Entity) -> None:
    """Do what is due now: the scheduled change, the end of Paddle's patience, or the renewal."""
    change = subscription["scheduled_change"]
    if change and moment_of(change["effective_at"]) <= state.now():
        {"cancel": end, "pause": _pause_now, "resume": resume_now}[change["action"]](state, subscription)
    elif subscription["status"] == "past_due":
        end(state, subscription)
    else:
        renew(state, subscription)


def renew(state: State, subscription: Entity) -> None:
    """Bill the period that begins when this one ends. The new period shows before the payment, even if that fails."""
    start_period(state, subscription, moment_of(subscription["next_billed_at"]))
    state.tell("subscription.updated", subscription)
    _bill_period(state, subscription)


def renew_now(state: State, subscription: Entity) -> None:
    """End the period early, without moving the clock; the new one is counted from now."""
    require(subscription, *RUNNING)
    check_unscheduled(subscription)
    now = iso(state.moment())
    backstage(state, subscription)["anchor"] = now
    subscription["next_billed_at"] = now
    renew(state, subscription)


def start_period(state: State, subscription: Entity, starts: datetime) -> None:
    ends = _end_of_period(state, subscription, starts)
    subscription["current_billing_period"] = schemas.period(starts, ends)
    subscription["next_billed_at"] = iso(ends)
    for item in subscription["items"]:
        item |= {"previously_billed_at": iso(starts), "next_billed_at": iso(ends)}


def collect(state: State, subscription: Entity, bill: Entity) -> bool:
    """Charge the card on file for an issued bill. Declined, both become past due; answers whether the money came."""
    if will_decline(state, subscription, bill):
        transactions.decline(state, bill, error="expired_card")
        bill["status"] = "past_due"
        state.tell("transaction.past_due", bill)
        behind = backstage(state, subscription)
        behind |= {"overdue": bill["id"], "failed_at": iso(state.now())}
        set_status(subscription, "past_due")
        state.tell("subscription.past_due", subscription)
        return False
    transactions.capture(state, bill)
    transactions.complete(state, bill)
    subscription["first_billed_at"] = subscription["first_billed_at"] or bill["billed_at"]
    return True


def will_decline(state: State, subscription: Entity, bill: Entity) -> bool:
    charged = int(bill["details"]["totals"]["grand_total"]) > 0
    return charged and backstage(state, subscription)["card"] == "fails"


def recover(state: State, subscription: Entity, bill: Entity) -> None:
    """The overdue bill is being paid with a good card."""
    behind = backstage(state, subscription)
    transactions.capture(state, bill)
    transactions.complete(state, bill)
    behind |= {"card": "good", "overdue": None, "failed_at": None}
    subscription["first_billed_at"] = subscription["first_billed_at"] or bill["billed_at"]
    set_status(subscription, "active")
    state.tell("subscription.activated", subscription)


def cancel(state: State, subscription: Entity, effective_from: str | None) -> None:
    """At the end of the period unless told `immediately`; a paused subscription has no period to wait for."""
    if subscription["status"] == "canceled":
        raise Refused("subscription_is_canceled_action_invalid", "The subscription is canceled already.")
    if effective_from == "immediately" or subscription["status"] == "paused":
        end(state, subscription)
        return
    check_lock(state, subscription)
    _schedule(subscription, "cancel", subscription["current_billing_period"]["ends_at"])
    state.tell("subscription.updated", subscription)


def end(state: State, subscription: Entity) -> None:
    behind = backstage(state, subscription)
    if behind["overdue"]:
        transactions.cancel(state, state.get("txn", behind["overdue"]))
    behind |= {"overdue": None, "failed_at": None, "pending": []}
    set_status(subscription, "canceled")
    subscription |= {
        "canceled_at": iso(state.moment()),
        "scheduled_change": None,
        "current_billing_period": None,
    }
    _bill_next(subscription, None)
    state.tell("subscription.canceled", subscription)


def keep(state: State, subscription: Entity) -> None:
    """Undo the scheduled change; the renewal date is back."""
    subscription["scheduled_change"] = None
    period = subscription["current_billing_period"]
    _bill_next(subscription, period["ends_at"] if period else None)


def pause(state: State, subscription: Entity, effective_from: str | None, resume_at: datetime | None) -> None:
    require(subscription, *RUNNING)
    check_lock(state, subscription)
    back = iso(resume_at) if resume_at else None
    if effective_from == "immediately":
        _check_resume(state.now(), resume_at)
        subscription["scheduled_change"] = {"action": "pause", "effective_at": iso(state.now()), "resume_at": back}
        _pause_now(state, subscription)
        return
    ends = subscription["current_billing_period"]["ends_at"]
    _check_resume(moment_of(ends), resume_at)
    _schedule(subscription, "pause", ends, resume_at=back)
    state.tell("subscription.updated", subscription)


def resume(state: State, subscription: Entity, when: datetime | None, on_resume: str | None) -> None:
    """Now, or at a later moment. `continue_existing_billing_period` charges nothing while that period lasts."""
    require(subscription, "paused")
    if when is None or when <= state.now():
        resume_now(state, subscription, on_resume=on_resume)
        return
    _schedule(subscription, "resume", iso(when))
    _bill_next(subscription, iso(when))
    state.tell("subscription.updated", subscription)


def resume_now(state: State, subscription: Entity, *, on_resume: str | None = None) -> None:
    behind, now = backstage(state, subscription), state.moment()
    cut = behind["paused"]
    subscription |= {"scheduled_change": None, "paused_at": None}
    set_status(subscription, "active")
    behind["paused"] = None
    if on_resume == "continue_existing_billing_period" and cut and moment_of(cut["ends_at"]) > now:
        subscription["current_billing_period"] = cut
        _bill_next(subscription, cut["ends_at"])
        state.tell("subscription.resumed", subscription)
        return
    behind["anchor"] = iso(now)
    start_period(state, subscription, now)
    state.tell("subscription.resumed", subscription)
    _bill_period(state, subscription)


def activate(state: State, subscription: Entity) -> None:
    """End the trial now, with a charge."""
    if subscription["status"] != "trialing":
        raise Refused("subscription_cannot_activate", "Only a trialing subscription can be activated.")
    now = iso(state.moment())
    backstage(state, subscription)["anchor"] = now
    subscription["next_billed_at"] = now
    for item in subscription["items"]:
        item["trial_dates"] = item["trial_dates"] and item["trial_dates"] | {"ends_at": now}
    renew(state, subscription)


def charge(state: State, subscription: Entity, wanted: Sequence[Wanted], *, now: bool, apply_anyway: bool) -> None:
    """Bill something once, to the card on file: now or with the next period. Raises `Refused` and bills nothing."""
    bill = preview_charge(state, subscription, wanted)
    if not now:
        backstage(state, subscription)["pending"] += [line._asdict() for line in wanted]
        state.tell("subscription.updated", subscription)
        return
    if will_decline(state, subscription, bill) and not apply_anyway:
        raise Refused("subscription_payment_declined", "The payment was declined; nothing was changed.")
    transactions.issue(state, bill)
    collect(state, subscription, bill)


def preview_charge(state: State, subscription: Entity, wanted: Sequence[Wanted]) -> Entity:
    check_changeable(subscription)
    check_lock(state, subscription)
    for line in wanted:
        price = catalogue.price_in(state, line.price_id, line.quantity, out_of_range="subscription_quantity_not_valid")
        if price["billing_cycle"]:
            raise Refused(
                "subscription_new_items_not_valid", "Only prices without a billing cycle can be charged once."
            )
    period = subscription["current_billing_period"]
    bill = transactions.bill(state, subscription, wanted, origin="subscription_charge", period=period)
    transactions.check_minimum(state, bill, code="subscription_update_transaction_balance_less_than_charge_limit")
    return bill


def card_update(state: State, subscription: Entity) -> Entity:
    """The transaction whose checkout takes a new card: the overdue one, or one of nothing."""
    check_changeable(subscription, past_due=True)
    overdue = backstage(state, subscription)["overdue"]
    if overdue:
        return state.get("txn", overdue)
    wanted = [Wanted(item["price"]["id"], item["quantity"]) for item in subscription["items"]]
    made = transactions.begin(
        state, wanted, origin="subscription_payment_method_change", currency=subscription["currency_code"]
    )
    now = made["created_at"]
    made |= {name: subscription[name] for name in ("customer_id", "custom_data")}
    made |= {"subscription_id": subscription["id"], "billing_period": {"starts_at": now, "ends_at": now}}
    transactions.tax_for(state, made, subscription["address_id"])
    made["status"] = "ready"
    state.add(made)
    state.tell("transaction.created", made)
    state.tell("transaction.ready", made)
    return made


def next_wanted(state: State, subscription: Entity) -> list[Wanted]:
    """The lines of the next bill: the items, and what was put off until then."""
    lines = [Wanted(item["price"]["id"], item["quantity"]) for item in subscription["items"]]
    return lines + [Wanted(**line) for line in backstage(state, subscription)["pending"]]


def backstage(state: State, subscription: Entity) -> Entity:
    return state.memory.backstage[subscription["id"]]


def check_changeable(subscription: Entity, *, past_due: bool = False) -> None:
    """Raises `Refused` for what is canceled, or past due unless that is fine."""
    if subscription["status"] == "canceled":
        raise Refused("subscription_update_when_canceled", "The subscription is canceled and cannot be changed.")
    if subscription["status"] == "past_due" and not past_due:
        raise Refused("subscription_update_when_past_due", "The subscription is past due and cannot be changed.")


def check_lock(state: State, subscription: Entity) -> None:
    """Raises `Refused` within half an hour of the renewal, when Paddle lets nobody touch a subscription."""
    at = subscription["next_billed_at"]
    if at and subscription["status"] in RUNNING and moment_of(at) - state.now() < LOCKED_BEFORE_RENEWAL:
        raise Refused("subscription_locked_renewal", "The subscription renews within 30 minutes and is locked.")


def check_unscheduled(subscription: Entity) -> None:
    if subscription["scheduled_change"]:
        raise Refused("subscription_locked_pending_changes", "A change is scheduled already; remove it first.")


def require(subscription: Entity, *statuses: str) -> None:
    status = subscription["status"]
    if status in statuses:
        return
    if status == "canceled":
        raise Refused("subscription_is_canceled_action_invalid", "The subscription is canceled.")
    if statuses == ("paused",):
        raise Refused("subscription_must_be_paused", "Only a paused subscription can be resumed.")
    if status == "paused":
        raise Refused("subscription_cannot_be_paused", "The subscription is paused already.")
    raise Refused("subscription_not_active", f"The subscription is {status}, not active.")


def set_status(subscription: Entity, status: str) -> None:
    subscription["status"] = status
    for item in subscription["items"]:
        item["status"] = "trialing" if status == "trialing" else "active"


def _bill_period(state: State, subscription: Entity) -> None:
    behind = backstage(state, subscription)
    wanted = next_wanted(state, subscription)
    behind["pending"] = []
    bill = transactions.bill(
        state,
        subscription,
        wanted,
        origin="subscription_recurring",
        period=subscription["current_billing_period"],
    )
    transactions.issue(state, bill)
    was = subscription["status"]
    if collect(state, subscription, bill) and was != "active":
        set_status(subscription, "active")
        state.tell("subscription.activated", subscription)


def _pause_now(state: State, subscription: Entity) -> None:
    change, now = subscription["scheduled_change"], iso(state.moment())
    period = subscription["current_billing_period"]
    backstage(state, subscription)["paused"] = period
    back = change["resume_at"]
    set_status(subscription, "paused")
    subscription |= {
        "paused_at": now,
        "current_billing_period": None,
        "scheduled_change": back and {"action": "resume", "effective_at": back, "resume_at": None},
    }
    _bill_next(subscription, back)
    state.tell("subscription.paused", subscription)


def _check_resume(after: datetime, resume_at: datetime | None) -> None:
    if resume_at and resume_at <= after:
        raise invalid("resume_at", "must be after the pause takes effect")


def _schedule(subscription: Entity, action: str, at: str, *, resume_at: str | None = None) -> None:
    if action != "resume":
        check_unscheduled(subscription)
    subscription["scheduled_change"] = {"action": action, "effective_at": at, "resume_at": resume_at}
    _bill_next(subscription, resume_at)


def _bill_next(subscription: Entity, at: str | None) -> None:
    subscription["next_billed_at"] = at
    for item in subscription["items"]:
        item["next_billed_at"] = at


def _recurring(transaction: Entity) -> list[Entity]:
    return [item for item in transaction["items"] if item["price"]["billing_cycle"]]


def _item(state: State, price: Entity, quantity: int, now: str) -> Entity:
    product = schemas.copied(state.get("pro", price["product_id"]))
    return schemas.subscription_item(now, price=schemas.copied(price), product=product, quantity=quantity)


def _first_period(state: State, subscription: Entity, started: datetime, trial: Entity | None) -> None:
    if not trial:
        subscription["first_billed_at"] = iso(started)
        start_period(state, subscription, started)
        return
    ends = started + span(trial)
    set_status(subscription, "trialing")
    subscription["current_billing_period"] = schemas.period(started, ends)
    _bill_next(subscription, iso(ends))
    for item in subscription["items"]:
        item["trial_dates"] = subscription["current_billing_period"]
    backstage(state, subscription)["anchor"] = iso(ends)


def _end_of_period(state: State, subscription: Entity, starts: datetime) -> datetime:
    """The next whole cycle from the anchor: 31 January, 28 February, 31 March."""
    anchor = moment_of(backstage(state, subscription)["anchor"])
    count = 1
    while (ends := anchor + span(subscription["billing_cycle"], count)) <= starts:
        count += 1
    return ends


def span(duration: Entity, times: int = 1) -> relativedelta:
    """A billing cycle or trial as something that can be added to a moment."""
    return relativedelta(**{f"{duration['interval']}s": duration["frequency"] * times})
