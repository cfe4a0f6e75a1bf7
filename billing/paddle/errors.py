"""Faults of Paddle, and the sentence that a customer reads about each. Every such sentence stands here."""

from __future__ import annotations

UNKNOWN_OUTCOME = (
    "Paddle, which handles our payments, didn't say whether that worked. Wait a minute and look at this page again "
    "before you try once more."
)
GENERAL = "Paddle, which handles our payments, didn't agree to that. Try again in 10 minutes, or write to us."
OURS = "Billing isn't set up correctly on our side, so this can't work right now. It isn't your doing: write to us."
BUSY = "Paddle is working on this subscription right now. Try again in 10 minutes."
ENDED = "This subscription has ended and can't be changed any more. You can start a new one from the pricing page."
TOO_SMALL = "The amount is below what Paddle can charge. Choose a larger quantity or another change."
TOO_OFTEN = "This plan was changed too often for now, and nothing was charged. Try again tomorrow."

SENTENCES = {
    # Ours: no answer of Paddle's API at all, or none that can be used.
    "unreachable": "We can't reach Paddle, which handles our payments. Nothing was changed: try again in a minute.",
    "slow": "Paddle, which handles our payments, takes very long to answer. Try again in a minute.",
    "not_asked": "Paddle, which handles our payments, is slow right now. Nothing was changed: try again in a minute.",
    "too_many_requests": "Paddle, which handles our payments, is very busy. Try again in a minute.",
    "broken": "Paddle, which handles our payments, has trouble right now. Try again in 10 minutes.",
    # Paddle's.
    "not_found": "Paddle doesn't know this any more. Load the page again; if that doesn't help, write to us.",
    "forbidden": OURS,
    "invalid_token": OURS,
    "authentication_missing": OURS,
    "authentication_malformed": OURS,
    "paddle_billing_not_enabled": OURS,
    "product_tax_category_not_approved": OURS,
    "transaction_checkout_url_domain_is_not_approved": OURS,
    "transaction_default_checkout_url_not_set": OURS,
    "invalid_field": "Paddle didn't accept what we sent, and nothing was changed. Write to us if it happens again.",
    "customer_already_exists": "Paddle knows this email address already. Write to us, so that we can join the two.",
    "transaction_item_quantity_out_of_range": "That many can't be bought at once. Choose another quantity.",
    "transaction_balance_less_than_charge_limit": TOO_SMALL,
    "subscription_update_transaction_balance_less_than_charge_limit": TOO_SMALL,
    "subscription_locked_renewal": "Paddle is renewing this subscription right now. Try again in half an hour.",
    "subscription_locked_processing": BUSY,
    "subscription_locked_pending_changes": "A change of this subscription is scheduled already. Undo that one first.",
    "subscription_scheduled_change_invalid_update": "That can't be done while a change is scheduled. Undo it first.",
    "subscription_outstanding_pending_refund": "A refund is still being decided. Try again when it is done.",
    "subscription_outstanding_transaction": "A payment is still open. Pay it first, then try again.",
    "subscription_update_when_past_due": "A payment is overdue. Update your card first, then change the plan.",
    "subscription_update_when_trialing": "This can't be changed during the trial. Try again when it has ended.",
    "subscription_trialing_items_update_invalid_options": "During the trial the plan can't be changed this way.",
    "subscription_update_when_canceled": ENDED,
    "subscription_is_canceled_action_invalid": ENDED,
    "subscription_payment_declined": "Your card was declined, and the plan stays as it was. Update it, then try again.",
    "subscription_items_update_missing_proration_billing_mode": OURS,
    "subscription_quantity_not_valid": "A plan can be had once. Load the page again and choose it anew.",
    "subscription_immediate_charge_hour_limit_exceeded": TOO_OFTEN,
    "subscription_immediate_charge_24_hour_limit_exceeded": TOO_OFTEN,
}


class PaddleFault(Exception):
    """Paddle didn't do what was asked. `str()` is a sentence for customers: what happened, and what to do.

    `code` is Paddle's own, or one of ours: `unreachable`, `slow`, `not_asked` (too many pages wait for Paddle already),
    `too_many_requests`, `broken` (5xx, HTML, not what is documented). `unknown_outcome` says that a write may have
    happened: look before repeating it. `retry_after` is in seconds, where Paddle named them, or we do.
    `request_id` is Paddle's name of the request, for its support.
    """

    def __init__(
        self, code: str, *, unknown_outcome: bool = False, retry_after: int | None = None, request_id: str = ""
    ) -> None:
        super().__init__(code)
        self.code = code
        self.unknown_outcome = unknown_outcome
        self.retry_after = retry_after
        self.request_id = request_id

    def __str__(self) -> str:
        return UNKNOWN_OUTCOME if self.unknown_outcome else SENTENCES.get(self.code, GENERAL)
