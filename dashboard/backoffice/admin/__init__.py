"""The operators' pages of accounts, of their own log and of the worker's jobs; Django finds them here."""

from dashboard.backoffice.admin import accounts, system

__all__ = ["accounts", "system"]
