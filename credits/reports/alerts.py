"""Alerts about running low (C9): which ones an account is due, in finished words.

The balance and the clock alone decide, so the page, its live refresh and the emails agree.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from credits.reports.balance import Balance
from sidekick import formatting

# In percent of the period's total, the worst first. The page, the emails and their SQL all read this one.
LEVELS = (0, 5, 20)
EXPIRY_AHEAD = timedelta(days=3)
# Browsers remember these keys in a cookie, so they outlive a change of words.
DEBT, EXPIRING = "debt", "lapsing"


@dataclass(frozen=True, slots=True)
class Alert:
    """`key` names it within its period. `helps` says that more credits would: the page offers a way to them."""

    key: str
    tone: str
    title: str
    words: str
    helps: bool = True


def all_keys() -> frozenset[str]:
    """The key of every alert there can be."""
    return frozenset({DEBT, EXPIRING, *map(_key, LEVELS)})


def level_reached(unspent: Decimal, total: Decimal) -> int | None:
    """The lowest of `LEVELS` that the unspent credits have come down to; None while there are more.

    Credits held for calls count as unspent: most of them come back within minutes.
    """
    return next((level for level in LEVELS if unspent * 100 <= total * level), None)


def expires_soon(balance: Balance, now: datetime) -> bool:
    """Whether rolled-over credits are left that expire with the period within three days."""
    return balance.rollover_left > 0 and now < balance.ends_at <= now + EXPIRY_AHEAD


def due(balance: Balance, zone: ZoneInfo, now: datetime, dismissed: Collection[str] = ()) -> list[Alert]:
    """The alerts to show now, the worst first, without the keys that were dismissed in this period."""
    alerts = []
    reached = level_reached(balance.unspent, balance.total)
    # A debt says more than the level, which is 0 then.
    if balance.debt:
        alerts.append(_debt(balance))
    # A customer who dismissed a level needs no word of a milder one.
    elif reached is not None and not any(_key(worse) in dismissed for worse in LEVELS if worse < reached):
        alerts.append(_low(balance, reached, zone, now))
    if expires_soon(balance, now):
        alerts.append(_expiring(balance, zone))
    return [alert for alert in alerts if alert.key not in dismissed]


def _debt(balance: Balance) -> Alert:
    return Alert(
        DEBT,
        "danger",
        f"You owe {formatting.credits(balance.debt)} credits.",
        "Requests arrived after your credits ran out. The next credits you get pay this first.",
    )


def _low(balance: Balance, reached: int, zone: ZoneInfo, now: datetime) -> Alert:
    left = formatting.credits(balance.unspent)
    again = f"New ones come on {_day(balance, zone)}." if balance.ends_at > now else ""
    if not reached:
        return Alert(_key(0), "danger", "You’re out of credits.", again or "Your next period has not begun yet.")
    of_all = f"That is {_share(balance)}% of this period’s {formatting.credits(balance.total)}."
    title = f"Only {left} credits left." if reached < LEVELS[-1] else f"{left} credits left."
    return Alert(_key(reached), "warn", title, f"{of_all} {again}".strip())


def _expiring(balance: Balance, zone: ZoneInfo) -> Alert:
    left = formatting.credits(balance.rollover_left)
    title = f"{left} rolled-over credits expire on {_day(balance, zone)}."
    return Alert(EXPIRING, "info", title, "They’re spent before your plan’s new ones: use them while they last.", False)


def _key(level: int) -> str:
    return f"low-{level}"


def _share(balance: Balance) -> str:
    share = balance.unspent * 100 / balance.total if balance.total else Decimal(0)
    return "under 1" if share < 1 else f"{share:.0f}"


def _day(balance: Balance, zone: ZoneInfo) -> str:
    return formatting.day(balance.ends_at.astimezone(zone))
