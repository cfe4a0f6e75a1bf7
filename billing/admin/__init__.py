"""Django looks here for what operators see and do of billing."""

from billing.admin import inbox, prices, snapshots, waiting_payments

__all__ = ["inbox", "prices", "snapshots", "waiting_payments"]
