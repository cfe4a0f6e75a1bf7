"""The accounts that rows name, by email or id, each asked for once."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from credits.usage.files.parsing.lines import BadLine
from credits.usage.pricing import OLDEST
from sidekick.accounts.models import User


@dataclass(slots=True)
class Accounts:
    known: dict[str, User | None] = field(default_factory=dict)

    def named(self, text: object) -> tuple[str, User]:
        """Returns the account with this email or id, and its id as a request names it.

        Raises `BadLine` where there is none.
        """
        if not isinstance(text, str) or not text.strip():
            raise BadLine("no account")
        name = text.strip()
        if name not in self.known:
            self.known[name] = User.objects.named(name) if _can_be_asked(name) else None
        account = self.known[name]
        if account is None:
            raise BadLine(f"unknown_account: There is no account {name[:64]!r}.")
        # Ids keep the spelling of the file: made-up request ids are made of it.
        return (name if _is_id(name) else str(account.id)), account

    def is_early(self, text: str, moment: datetime) -> bool:
        """Returns whether a request that can be recorded is from before the account signed up."""
        return OLDEST <= moment < self.named(text)[1].date_joined


def _can_be_asked(text: str) -> bool:
    # PostgreSQL refuses NUL even in a question, and half a character of JSON can't be sent.
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
