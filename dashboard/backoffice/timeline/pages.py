"""Everything that happened to one account, in one list, newest first (O2)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Self

from dashboard.backoffice.timeline import account_lines, money_lines
from dashboard.backoffice.timeline.lines import Line, Source
from sidekick.accounts.models import User

PAGE_SIZE = 50
DAY = timedelta(days=1)

SOURCES = (
    Source("account", "accounts.view_user", account_lines.joined),
    Source("account", "accounts.view_user", account_lines.deleted),
    Source("account", "mfa.view_authenticator", account_lines.second_factors),
    Source("sessions", "accounts.view_devicesession", account_lines.sessions_started),
    Source("sessions", "accounts.view_devicesession", account_lines.sessions_ended),
    Source("money", "billing.view_transaction", money_lines.payments),
    Source("money", "billing.view_adjustment", money_lines.money_back),
    Source("money", "billing.view_subscription", money_lines.subscriptions),
    Source("money", "billing.view_purchase", money_lines.purchases),
    Source("credits", "credits.view_ledgerentry", money_lines.ledger),
    Source("usage", "credits.view_usagerollup", money_lines.usage),
    Source("feedback", "feedback.view_report", account_lines.feedback),
    Source("emails", "accounts.view_letter", account_lines.emails),
    Source("operators", "admin.view_logentry", account_lines.log_of_account),
    Source("operators", "admin.view_logentry", account_lines.log_of_sessions),
    Source("operators", "admin.view_logentry", account_lines.log_of_payments),
)
KINDS = {
    "account": "Account",
    "sessions": "Sessions",
    "money": "Money",
    "credits": "Credits",
    "usage": "Usage",
    "feedback": "Feedback",
    "emails": "Emails",
    "operators": "Operators",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """The start of a page: at `before`, after the `skip` lines of that very moment that earlier pages showed."""

    before: datetime
    skip: int = 0

    @classmethod
    def from_query(cls, before: str, skip: str, now: datetime) -> Self:
        """The mark in an address, or that of the newest page where the address makes no sense."""
        # Today's usage is a line at the end of today.
        first = cls(now + DAY)
        try:
            moment = datetime.fromisoformat(before)
        except ValueError:
            return first
        # At the ends of the calendar, a day more or less is an error.
        usual = moment.tzinfo is not None and 1970 <= moment.year < 9999
        if not usual or not skip.isascii() or not skip.isdecimal() or len(skip) > 4:
            return first
        return cls(moment.astimezone(UTC), int(skip))


@dataclass(frozen=True, slots=True)
class Page:
    lines: list[Line]
    next: Mark | None

    @classmethod
    def for_account(cls, account: User, mark: Mark, *, kinds: Sequence[str], may: Callable[[str], bool]) -> Self:
        """One page of the kinds asked for, as far as `may(permission)` allows."""
        # Each source gives at most a page by an index, so a page costs the same however much happened.
        most = PAGE_SIZE + mark.skip + 1
        sources = [source for source in SOURCES if source.kind in kinds and may(source.permission)]
        lists = [source.read(account, mark.before, most) for source in sources]
        merged = heapq.merge(*lists, key=lambda line: line.at, reverse=True)
        found = list(islice(merged, mark.skip, mark.skip + PAGE_SIZE + 1))
        shown = found[:PAGE_SIZE]
        return cls(shown, _next(shown, mark) if len(found) > PAGE_SIZE else None)


def _next(shown: list[Line], mark: Mark) -> Mark:
    last = shown[-1].at
    same = sum(line.at == last for line in shown)
    return Mark(last, same + mark.skip if last == mark.before else same)
