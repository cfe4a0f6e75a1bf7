"""The live part of a Credits page: alerts, the four cards and the bar, as words and finished figures (C1, C2, C9, C10).

A tag names all that is shown, so that an open page can ask whether anything changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from credits.reports import alerts
from credits.reports.alerts import Alert
from credits.reports.balance import Balance
from sidekick import formatting
from sidekick.web.etags import etag_of

DISMISSED_COOKIE = f"{settings.COOKIE_PREFIX}sidekick_notices"
# Longer than any month, after which the cookie names no period any more.
REMEMBERED = timedelta(days=40)


@dataclass(frozen=True, slots=True)
class LiveCards:
    """`tag` covers everything that an open page shows, without the time at which it was read."""

    balance: Balance
    zone: ZoneInfo
    alerts: list[Alert]
    tag: str

    @classmethod
    def for_request(cls, request: HttpRequest, balance: Balance, zone: ZoneInfo, *below: object) -> LiveCards:
        """`below` names the state of what the page shows below its cards."""
        due = alerts.due(balance, zone, balance.as_of, dismissed(request, balance))
        return cls(balance, zone, due, etag_of(zone.key, due, *_figures(balance), *below))

    @property
    def as_of(self) -> datetime:
        return self.balance.as_of.astimezone(self.zone)

    def context(self) -> dict[str, Any]:
        return {"cards": Cards.for_balance(self.balance, self.zone), "alerts": self.alerts, "live_tag": self.tag}

    def date(self, response: HttpResponse) -> None:
        """Say in headers when this was read: as a moment, and as the clock that the page shows."""
        response.headers["ETag"] = self.tag
        response.headers["Sidekick-As-Of"] = self.as_of.isoformat(timespec="seconds")
        response.headers["Sidekick-Clock"] = formatting.clock(self.as_of)


def dismissed(request: HttpRequest, balance: Balance) -> frozenset[str]:
    """The keys of the alerts that were put away in this browser and period."""
    period, _, keys = request.COOKIES.get(DISMISSED_COOKIE, "").partition(":")
    return alerts.all_keys().intersection(keys.split(".")) if period == _period(balance) else frozenset()


def remember_dismissed(request: HttpRequest, response: HttpResponse, balance: Balance, key: str) -> None:
    keys = dismissed(request, balance) | {key}
    # In a cookie, because it matters to nobody else and costs no query on every page.
    response.set_cookie(
        DISMISSED_COOKIE,
        f"{_period(balance)}:{'.'.join(sorted(keys))}",
        REMEMBERED,
        secure=settings.PRODUCTION,
        httponly=True,
        samesite="Lax",
    )
    # The rest of this request reads it, too.
    request.COOKIES[DISMISSED_COOKIE] = response.cookies[DISMISSED_COOKIE].value


def _figures(balance: Balance) -> Iterator[str]:
    return (str(getattr(balance, field.name)) for field in fields(balance) if field.name != "as_of")


def _period(balance: Balance) -> str:
    """Names an account's period without giving either away."""
    name = f"{balance.account_id} {balance.starts_at.isoformat()}"
    return hashlib.blake2b(name.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Cards:
    """The four cards and the bar. Each list of parts adds up to its card as shown."""

    available: str
    available_exact: str
    available_parts: list[tuple[str, str]]
    used: str
    used_exact: str
    used_parts: list[tuple[str, str]]
    total: str
    total_exact: str
    total_note: str
    additional: str
    additional_exact: str
    bought: str
    debt: str
    percent: str
    bar: str
    high: bool
    over: bool
    from_additional: str
    plan_name: str
    may_buy: bool
    since: str
    resets: str
    clock: str
    iso: str

    @classmethod
    def for_balance(cls, b: Balance, zone: ZoneInfo) -> Cards:
        start, end = b.starts_at.astimezone(zone), b.ends_at.astimezone(zone)
        now = b.as_of.astimezone(zone)
        parts = {"plan": b.plan_left, "additional": b.additional, "courtesy": b.courtesy}
        # Usage without a hold may have taken credits that are held for others: no more is held than there is.
        parts["held"] = -min(b.held, sum(parts.values(), Decimal(0)))
        used = {"plan": b.plan_used, "additional": b.additional_used, "courtesy": b.courtesy_used, "owed": b.debt}
        shown_used = {**used, "for other periods": -b.elsewhere}
        return cls(
            available=formatting.credits(b.available),
            available_exact=formatting.exact(b.available),
            available_parts=formatting.sum_of(b.available, parts) or [("plan", formatting.credits(b.plan_left))],
            used=formatting.credits(b.used),
            used_exact=formatting.exact(b.used),
            used_parts=_plan_and_additional(formatting.sum_of(b.used, shown_used)),
            total=formatting.credits(b.total),
            total_exact=formatting.exact(b.total),
            total_note=_total_note(b),
            additional=formatting.credits(b.additional),
            additional_exact=formatting.exact(b.additional),
            bought=formatting.credits(b.bought) if b.bought else "",
            debt=formatting.credits(b.debt) if b.debt else "",
            percent=_percent(b.percent),
            bar=f"{min(b.percent, Decimal(100)):.2f}",
            high=b.percent >= 80,
            over=b.percent > 100,
            from_additional=formatting.credits(b.additional_used) if b.percent > 100 and b.additional_used > 0 else "",
            plan_name=b.plan_name,
            may_buy=b.may_buy_credits,
            since=formatting.day(start),
            resets=formatting.day(end),
            clock=formatting.clock(now),
            iso=now.isoformat(timespec="seconds"),
        )


def _total_note(b: Balance) -> str:
    if b.rollover:
        parts = dict(formatting.sum_of(b.total, {"plan": b.total - b.rollover, "rolled over": b.rollover}))
        return " + ".join(f"{name} {amount}" for name, amount in parts.items())
    return f"from your {b.plan_name} plan"


def _plan_and_additional(parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    # Both always stand under Used, even at nothing, because customers look for them there.
    known = dict(parts)
    return [(name, known.pop(name, "0.00")) for name in ("plan", "additional")] + list(known.items())


def _percent(value: Decimal) -> str:
    if 0 < value < 1:
        return "<1"
    # Rounded down below 100, because 99.6 is not all of it.
    return str(int(value)) if value < 100 else f"{value:,.0f}"
