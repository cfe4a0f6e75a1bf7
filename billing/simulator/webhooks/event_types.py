"""The types of events that Paddle documents."""

from __future__ import annotations

from billing.simulator.schemas.notifications import EventType

NAMES = {
    "address": ("created", "imported", "updated"),
    "adjustment": ("created", "updated"),
    "api_key": ("created", "expired", "expiring", "revoked", "updated"),
    "api_key_exposure": ("created",),
    "business": ("created", "imported", "updated"),
    "client_token": ("created", "revoked", "updated"),
    "customer": ("created", "imported", "updated"),
    "discount": ("created", "imported", "updated"),
    "discount_group": ("created", "updated"),
    "payment_method": ("deleted", "saved"),
    "payout": ("created", "paid"),
    "price": ("created", "imported", "updated"),
    "product": ("created", "imported", "updated"),
    "report": ("created", "updated"),
    "subscription": (
        "activated", "canceled", "created", "imported", "past_due", "paused", "resumed", "trialing", "updated",
    ),
    "transaction": (
        "billed", "canceled", "completed", "created", "paid", "past_due", "payment_failed", "ready", "revised",
        "updated",
    ),
}  # fmt: skip
EVENT_TYPES = [f"{group}.{name}" for group, names in NAMES.items() for name in names]


def described(name: str) -> EventType:
    group, _, happened = name.partition(".")
    words = f"Occurs when this happens to a {group.replace('_', ' ')}: {happened.replace('_', ' ')}."
    return {"name": name, "description": words, "group": group.replace("_", " ").title(), "available_versions": [1]}
