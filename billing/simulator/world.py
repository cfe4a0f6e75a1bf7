"""The simulator without HTTP: everything that a customer, a bank, Paddle's staff or time itself can do to it.

One lock is around it all. Every verb changes the state and keeps it; webhooks go out afterwards.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from datetime import datetime, timedelta
from pathlib import Path

from billing.simulator.bodies.notifications import NewSetting
from billing.simulator.commerce import adjustments, checkout
from billing.simulator.commerce.subscriptions import lifecycle, pauses
from billing.simulator.errors import RequestError
from billing.simulator.faults import Faults
from billing.simulator.schemas.adjustments import Adjustment
from billing.simulator.schemas.notifications import NotificationSetting
from billing.simulator.schemas.subscriptions import Subscription
from billing.simulator.schemas.transactions import Transaction
from billing.simulator.state import State
from billing.simulator.webhooks import settings
from billing.simulator.webhooks.courier import Courier
from billing.simulator.webhooks.event_types import EVENT_TYPES

# Events of one moment are some milliseconds apart; a whole period later all of them are due.
SAME_MOMENT = timedelta(seconds=1)
PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0, 300.0)


class World:
    """One simulated Paddle account.

    `payment_link` is the dashboard's pay page, `tax` basis points on top of prices, `minimum` the smallest charge in
    minor units, `pauses` the seconds between attempts to deliver a webhook, `seed` fixes the order of shuffled ones.
    Verbs raise `RequestError` where Paddle would, and return copies of entities.
    """

    def __init__(
        self,
        *,
        api_key: str,
        secret: str,
        payment_link: str,
        state: Path | None = None,
        tax: int = 2000,
        minimum: int = 70,
        pauses: Sequence[float] = PAUSES,
        seed: int | None = None,
    ) -> None:
        if not api_key or not secret:
            raise ValueError("The simulator needs an API key and a secret, or anyone could be it.")
        self.api_key = api_key
        self.lock = threading.RLock()
        self.state = State(secret=secret, payment_link=payment_link, tax=tax, minimum=minimum, path=state)
        self.faults = Faults()
        self.courier = Courier(self, pauses=pauses, seed=seed)

    @contextmanager
    def changing(self) -> Iterator[State]:
        """Hold the lock, then keep the changed state and wake the courier. An exception in here undoes all changes."""
        with self.lock:
            with self.state.all_or_nothing():
                yield self.state
            self.state.save()
        # Outside the lock, so that the courier need not wait for it.
        self.courier.awake.set()

    # Time

    def now(self) -> datetime:
        return self.state.now()

    def move(self, by: timedelta) -> None:
        """Move the clock forward; what falls due on the way happens in its order."""
        if by < timedelta():
            raise ValueError("The clock moves forward only.")
        with self.changing() as state:
            self._advance_to(state.now() + by)
            state.memory.offset += by.total_seconds()

    def move_to_renewal(self, subscription_id: str) -> None:
        """Move the clock to the moment when something happens to this subscription by itself."""
        with self.changing() as state:
            due = lifecycle.due_at(state, state.subscriptions.get(subscription_id))
            if due:
                # A second more, because a moment is due once it has passed.
                self.move(max(due - state.now(), timedelta()) + timedelta(seconds=1))

    def catch_up(self) -> None:
        """Do what fell due since time was last looked at."""
        with self.lock:
            # Asked first, because `changing` writes the state file.
            if self._next_due(self.state.now() + SAME_MOMENT):
                with self.changing() as state:
                    self._advance_to(state.now())

    # Customers

    def pay(self, transaction_id: str, card: str = "good", *, email: str = "buyer@example.com") -> Transaction:
        """Complete the checkout with a card: `good`, `declined` or `fails_later`."""
        with self.changing() as state:
            transaction = state.transactions.get(transaction_id)
            checkout.pay(state, transaction, card=card, email=email)
            return deepcopy(transaction)

    def pay_overdue(self, subscription_id: str) -> None:
        with self.changing() as state:
            overdue = state.backstage(state.subscriptions.get(subscription_id))["overdue"]
            if overdue is None:
                raise RequestError("conflict", "Nothing of this subscription is overdue.")
            checkout.pay(state, state.transactions.get(overdue), card="good", email="")

    def fail_next_payment(self, subscription_id: str) -> None:
        """The card on file is declined from now on, until it is good again or another one pays."""
        self._card(subscription_id, "fails")

    def card_good_again(self, subscription_id: str) -> None:
        self._card(subscription_id, "good")

    # Subscriptions

    def renew(self, subscription_id: str) -> None:
        """Renew now without moving the clock: the period ends early and the new one starts now."""
        with self.changing() as state:
            lifecycle.renew_now(state, state.subscriptions.get(subscription_id))

    def pause(self, subscription_id: str, resume_at: datetime | None = None, *, now: bool = True) -> None:
        with self.changing() as state:
            effective_from = "immediately" if now else "next_billing_period"
            pauses.pause(state, state.subscriptions.get(subscription_id), effective_from, resume_at)

    def resume(self, subscription_id: str) -> None:
        with self.changing() as state:
            pauses.resume(state, state.subscriptions.get(subscription_id), None, None)

    def cancel_now(self, subscription_id: str) -> None:
        with self.changing() as state:
            lifecycle.cancel(state, state.subscriptions.get(subscription_id), "immediately")

    # Money back

    def refund(
        self, transaction_id: str, amounts: Mapping[str, int] | None = None, *, approve: bool = True
    ) -> Adjustment:
        """Refund amounts by line id (minor units, tax included), or all; pending unless `approve`."""
        with self.changing() as state:
            made = adjustments.refund(
                state, state.transactions.get(transaction_id), amounts, reason="requested_by_customer"
            )
            if approve and made["status"] == "pending_approval":
                adjustments.review(state, made, approved=True)
            return deepcopy(made)

    def approve(self, adjustment_id: str) -> None:
        with self.changing() as state:
            adjustments.review(state, state.adjustments.get(adjustment_id), approved=True)

    def reject(self, adjustment_id: str) -> None:
        with self.changing() as state:
            adjustments.review(state, state.adjustments.get(adjustment_id), approved=False)

    def charge_back(self, transaction_id: str, *, warning: bool = False) -> Adjustment:
        with self.changing() as state:
            return deepcopy(adjustments.charge_back(state, state.transactions.get(transaction_id), warning=warning))

    def reverse(self, adjustment_id: str) -> Adjustment:
        with self.changing() as state:
            return deepcopy(adjustments.reverse(state, state.adjustments.get(adjustment_id)))

    # Webhooks

    def subscribe(self, destination: str, events: Sequence[str] = tuple(EVENT_TYPES)) -> NotificationSetting:
        """Create a notification setting for these event types; for all of them unless told otherwise."""
        with self.changing() as state:
            wanted = NewSetting(description=destination, destination=destination, subscribed_events=list(events))
            return deepcopy(settings.create(state, wanted))

    def switch(self, mode: str, on: bool) -> None:
        """`hold` keeps webhooks back, `duplicate` sends each twice, `shuffle` mixes what waits.

        `approve_at_once` approves refunds without a review.
        """
        with self.changing() as state:
            if mode not in state.memory.modes:
                raise ValueError(f"There is no mode {mode!r}.")
            state.memory.modes[mode] = on

    def deliver_all(self, timeout: float = 10) -> int:
        """Send the webhooks that wait and aren't held, from this thread. Returns how many still wait."""
        return self.courier.deliver_all(timeout)

    def _card(self, subscription_id: str, card: str) -> None:
        with self.changing() as state:
            state.backstage(state.subscriptions.get(subscription_id))["card"] = card

    def _next_due(self, until: datetime) -> tuple[datetime, Subscription] | None:
        found = [(due, row) for row in self.state.subscriptions.rows() if (due := lifecycle.due_at(self.state, row))]
        first = min(found, key=lambda pair: pair[0], default=None)
        return first if first and first[0] <= until else None

    def _advance_to(self, until: datetime) -> None:
        # Asked again each time, because what happens changes what is due next.
        while first := self._next_due(until + SAME_MOMENT):
            due, subscription = first
            with self.state.at(due):
                lifecycle.fall_due(self.state, subscription)
