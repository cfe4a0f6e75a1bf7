"""How far a purchase is, in words for the pay page and Billing (B5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.http import HttpRequest
from django.utils import timezone

from billing import checkout
from billing.checkout import PurchaseState
from billing.models import Purchase
from billing.pages.bills import is_credits, title_of
from sidekick import formatting
from sidekick.typed_numbers import whole_number

LONG = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a purchase is, in words. `poll_seconds` is 0 where nothing more is to come by itself.

    `step` is `opening`, `ready`, `waiting`, `done` or `canceled`.
    """

    step: str
    title: str
    words: str
    poll_seconds: int

    @classmethod
    def for_purchase(cls, purchase: Purchase, *, completed: bool, waited: timedelta) -> Progress:
        """`completed` is what the browser says of the checkout: it decides on words, and on nothing else (B5)."""
        state = checkout.purchase_state(purchase)
        what = title_of(purchase)
        if state == PurchaseState.DONE:
            return cls("done", _given(purchase), "Your receipt is on its way by email.", 0)
        if state == PurchaseState.CANCELED:
            return cls("canceled", "This checkout was canceled", "Nothing was charged.", 0)
        # The browser returns from the checkout before Paddle's event arrives.
        if state == PurchaseState.PAID or (completed and state == PurchaseState.READY):
            adding = f"adding {purchase.quantity:,} credits" if is_credits(purchase) else f"setting up {what}"
            if waited >= LONG:
                words = "This takes longer than usual. Nothing is lost: it arrives by itself, and you may leave."
                return cls("waiting", f"Payment received, {adding}", words, 10)
            return cls("waiting", f"Payment received, {adding}", "This page updates itself.", 2)
        if state == PurchaseState.OPENING:
            if waited >= checkout.ANSWER_WITHIN:
                words = "Paddle didn’t answer, and nothing was charged. Go back to Billing and try again."
                return cls("opening", "The checkout didn’t open", words, 10)
            return cls("opening", "Preparing the checkout", "This page updates itself.", 2)
        return cls("ready", "", "", 0)


def waiting_since(request: HttpRequest) -> int:
    """Returns when the customer began to wait, in seconds since 1970."""
    # The browser says it, so only words may depend on it.
    now, asked = int(timezone.now().timestamp()), whole_number(request.GET.get("since", ""))
    return now if asked is None else min(asked, now)


def _given(purchase: Purchase) -> str:
    if not is_credits(purchase):
        return f"You are on {purchase.price.plan.name}"
    credits: Decimal = checkout.given(purchase)
    return f"{formatting.credits(credits).removesuffix('.00')} credits added"
