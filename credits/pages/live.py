"""What is live on a Credits page: the cards and the notices above them, and the tag that says whether they changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from credits.pages.balance_cards import Cards
from credits.reports import alerts
from credits.reports.alerts import Alert
from credits.reports.usage import Balance
from sidekick.web.etags import etag_of

NOTICES_COOKIE = f"{settings.COOKIE_PREFIX}sidekick_notices"
# Longer than any month, after which it names no period any more.
REMEMBERED = timedelta(days=40)


@dataclass(frozen=True, slots=True)
class Live:
    """`tag` covers all that `_balance.html` shows but the time it was read."""

    balance: Balance
    zone: ZoneInfo
    notices: list[Alert]
    tag: str

    @classmethod
    def of(cls, request: HttpRequest, balance: Balance, zone: ZoneInfo) -> Live:
        shown = alerts.due(balance, zone, balance.as_of, dismissed(request, balance))
        return cls(balance, zone, shown, etag_of(zone.key, shown, *_figures(balance)))

    @property
    def as_of(self) -> datetime:
        return self.balance.as_of.astimezone(self.zone)

    def context(self) -> dict[str, Any]:
        return {"cards": Cards.of(self.balance, self.zone), "notices": self.notices, "live_tag": self.tag}


def dismissed(request: HttpRequest, balance: Balance) -> frozenset[str]:
    """The keys of notices that this browser's customer wants to see no more in this period."""
    period, _, keys = request.COOKIES.get(NOTICES_COOKIE, "").partition(":")
    return alerts.all_keys().intersection(keys.split(".")) if period == _period(balance) else frozenset()


def dismiss(request: HttpRequest, response: HttpResponse, balance: Balance, key: str) -> None:
    """Remember it in a cookie: it tells a server nothing that matters, and asks no query of a page."""
    keys = dismissed(request, balance) | {key}
    response.set_cookie(
        NOTICES_COOKIE,
        f"{_period(balance)}:{'.'.join(sorted(keys))}",
        REMEMBERED,
        secure=settings.PRODUCTION,
        httponly=True,
        samesite="Lax",
    )
    request.COOKIES[NOTICES_COOKIE] = response.cookies[NOTICES_COOKIE].value


def _figures(balance: Balance) -> Iterator[str]:
    return (str(getattr(balance, field.name)) for field in fields(balance) if field.name != "as_of")


def _period(balance: Balance) -> str:
    """An account's period in a few characters that say neither."""
    name = f"{balance.account_id} {balance.starts_at.isoformat()}"
    return hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
