"""What a customer is to know about running low (C9): which notices an account is due, in finished words.

A notice is due by the balance and the clock alone, so the page, a live refresh and a letter say the same.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from credits.reports.usage import Balance
from sidekick import formatting

# In percent of the period's total, the worst first.
LEVELS = (0, 5, 20)
LAPSE_AHEAD = timedelta(days=3)
DEBT, LAPSING = "debt", "lapsing"
KEYS = frozenset({DEBT, LAPSING, *(f"low-{level}" for level in LEVELS)})


@dataclass(frozen=True, slots=True)
class Notice:
    """`key` names it within its period. `helps` says that more credits would: the page offers a way to them."""

    key: str
    tone: str
    title: str
    words: str
    helps: bool = True


def level(balance: Balance) -> int | None:
    """The lowest of `LEVELS` that what is unspent has come down to; None while there is more.

    What is promised to calls is not spent yet: most of it comes back within minutes.
    """
    unspent = balance.plan_left + balance.additional + balance.courtesy - balance.debt
    return next((level for level in LEVELS if unspent * 100 <= balance.total * level), None)


def lapses_soon(balance: Balance, now: datetime) -> bool:
    """Whether rolled-over credits are left that the period's end takes within three days."""
    return balance.rollover_left > 0 and now < balance.ends_at <= now + LAPSE_AHEAD


def due(balance: Balance, zone: ZoneInfo, now: datetime, dismissed: Collection[str] = ()) -> list[Notice]:
    """What is to be said now, the worst first, without what was dismissed in this period.

    Whoever dismissed a level needs no word of a milder one.
    """
    notices = []
    reached = level(balance)
    if balance.debt:
        notices.append(_debt(balance))
    elif reached is not None and not any(f"low-{worse}" in dismissed for worse in LEVELS if worse < reached):
        notices.append(_low(balance, reached, zone, now))
    if lapses_soon(balance, now):
        notices.append(_lapsing(balance, zone))
    return [notice for notice in notices if notice.key not in dismissed]


def _debt(balance: Balance) -> Notice:
    return Notice(
        DEBT,
        "danger",
        f"You owe {formatting.credits(balance.debt)} credits.",
        "Requests arrived after your credits ran out. The next credits you get pay this first.",
    )


def _low(balance: Balance, reached: int, zone: ZoneInfo, now: datetime) -> Notice:
    left = formatting.credits(balance.plan_left + balance.additional + balance.courtesy)
    again = f"New ones come on {_day(balance, zone)}." if balance.ends_at > now else ""
    if not reached:
        return Notice("low-0", "danger", "You’re out of credits.", again or "Your next period has not begun yet.")
    of_all = f"That is {_share(balance)} % of this period’s {formatting.credits(balance.total)}."
    title = f"Only {left} credits left." if reached < LEVELS[-1] else f"{left} credits left."
    return Notice(f"low-{reached}", "warn", title, f"{of_all} {again}".strip())


def _lapsing(balance: Balance, zone: ZoneInfo) -> Notice:
    left = formatting.credits(balance.rollover_left)
    title = f"{left} rolled-over credits lapse on {_day(balance, zone)}."
    return Notice(LAPSING, "info", title, "They’re spent before your plan’s new ones: use them while they last.", False)


def _share(balance: Balance) -> str:
    left = balance.plan_left + balance.additional + balance.courtesy
    share = left * 100 / balance.total if balance.total else Decimal(0)
    return "under 1" if share < 1 else f"{share:.0f}"


def _day(balance: Balance, zone: ZoneInfo) -> str:
    return formatting.day(balance.ends_at.astimezone(zone))
