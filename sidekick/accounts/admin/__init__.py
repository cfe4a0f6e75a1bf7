"""Django looks here for what operators see and do of accounts (O1)."""

from sidekick.accounts.admin import accounts, emails, service_keys, sessions, sign_in

__all__ = ["accounts", "emails", "service_keys", "sessions", "sign_in"]
