"""Every change of the balance, and the balance after it (C8): the ledger's lines, and each day's usage as a row.

The running balance is counted backwards from the current one: the ledger's lines since the span's first day, the day
sums of the span, and one sum of the usage after it. The cost grows with the span and its age, never with the number
of requests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db.models import Exists, OuterRef, QuerySet

from credits.models import CreditPeriod, Grant, LedgerEntry
from credits.reports import timeseries, usage
from credits.reports.balance import Balance
from credits.reports.spans import Span
from credits.reports.timeseries import MOST_BARS, Bars, Slice
from sidekick import formatting

ZERO = Decimal(0)
# After every request there can be, and a moment that both Python and PostgreSQL store.
FOR_EVER = datetime(2200, 1, 1, tzinfo=UTC)
Kind = LedgerEntry.Kind


@dataclass(frozen=True, slots=True)
class Change:
    """One row. `what` and `note` are words for customers; `change` and `balance` are credits.

    `at` is the moment of a ledger line. Usage has a `day` instead, which is `whole` unless the span cuts it, and a
    number of `requests`. `paid` is true where a payment was the cause. A rollover changes nothing, and says how much
    moved.
    """

    at: datetime
    what: str
    change: Decimal
    note: str = ""
    day: date | None = None
    whole: bool = False
    requests: int = 0
    paid: bool = False
    balance: Decimal = ZERO


def changes_in(balance: Balance, span: Span, zone: ZoneInfo) -> list[Change]:
    """All changes in a span, newest first; days are the zone's. Three queries, one more for a span of many days."""
    entries = list(_entries(balance, span))
    inside = [entry for entry in entries if entry.created_at < span.end]
    later = sum((entry.amount for entry in entries[len(inside) :]), ZERO)
    later -= _used_after(balance, span)
    # A day's usage stands at the day's end, after everything else of that day, so that the balance then is right.
    changes = sorted([*_usage(balance, span, zone), *_lines(inside, zone)], key=lambda change: change.at)
    running = balance.unspent - later
    newest_first = []
    for change in reversed(changes):
        newest_first.append(replace(change, balance=running))
        running -= change.change
    return newest_first


def _entries(balance: Balance, span: Span) -> QuerySet[LedgerEntry]:
    """The ledger's lines since the span's start, oldest first.

    `adds` is true for an allocation that its period got after an earlier one; `follows` where a later one came.
    """
    given = LedgerEntry.objects.filter(period=OuterRef("period"), kind=Kind.ALLOCATION)
    earlier, later = given.filter(id__lt=OuterRef("id")), given.filter(id__gt=OuterRef("id"))
    lines = LedgerEntry.objects.filter(account_id=balance.account_id, created_at__gte=span.start)
    lines = lines.annotate(adds=Exists(earlier), follows=Exists(later)).select_related("grant", "period__plan")
    return lines.order_by("created_at", "id")


def _used_after(balance: Balance, span: Span) -> Decimal:
    sums = usage.usage_by_model(balance.account_id, Span(span.end, FOR_EVER))
    return sum((each.credits for each in sums), ZERO)


def _usage(balance: Balance, span: Span, zone: ZoneInfo) -> list[Change]:
    """The usage of each day of the span, oldest first."""
    if span.end - span.start > timedelta(days=MOST_BARS):
        part = timeseries.used_part(balance.account_id, span)
        if part is None:
            return []
        span = part
    bars = Bars.of_unit("day", span, zone)
    used: dict[int, list[Slice]] = {}
    for piece in timeseries.usage_between(balance.account_id, bars.cuts):
        used.setdefault(piece.place, []).append(piece)
    return [_day(bars, index, pieces, zone) for index, pieces in used.items()]


def _day(bars: Bars, index: int, pieces: list[Slice], zone: ZoneInfo) -> Change:
    day, _ = bars.days[index]
    start, end = bars.cuts[index : index + 2]
    requests, credits = sum(piece.requests for piece in pieces), sum((piece.credits for piece in pieces), ZERO)
    note = "1 request" if requests == 1 else f"{requests:,} requests"
    whole = Span.for_days(day, day, zone) == Span(start, end)
    return Change(end, "Used", -credits, note, day=day, whole=whole, requests=requests)


def _lines(entries: list[LedgerEntry], zone: ZoneInfo) -> Iterable[Change]:
    """The ledger in a customer's words."""
    moved = [entry for entry in entries if entry.kind == Kind.ROLLED_OUT]
    for entry in entries:
        source = _source(entry, moved)
        # The two lines of a rollover are one row, which changes nothing.
        if source:
            moved.remove(source)
            words = f"{_amount(entry.amount)} credits rolled over"
            yield Change(entry.created_at, words, ZERO, f"unused of {_dates(source.period, zone)}")
        elif entry.amount and entry.kind != Kind.ROLLED_OUT:
            yield _line(entry, zone)
    for entry in moved:
        yield _line(entry, zone)


def _source(entry: LedgerEntry, moved: list[LedgerEntry]) -> LedgerEntry | None:
    """The line that took this rollover from an earlier period, written at the same moment."""
    if entry.kind != Kind.ROLLOVER:
        return None
    return next((out for out in moved if (out.created_at, -out.amount) == (entry.created_at, entry.amount)), None)


def _line(entry: LedgerEntry, zone: ZoneInfo) -> Change:
    words = {
        Kind.ALLOCATION: _allocated,
        Kind.ROLLOVER: lambda entry, zone: ("Rolled over", _dates(entry.period, zone)),
        Kind.ROLLED_OUT: lambda entry, zone: ("Moved to the next period", _dates(entry.period, zone)),
        Kind.FORFEITED: _forfeited,
        Kind.PURCHASED: lambda entry, zone: (f"Bought {_amount(entry.amount)} credits", "they never expire"),
        Kind.COURTESY: _given,
        Kind.VOIDED: _taken_back,
        Kind.RESTORED: _given_back,
    }
    what, note = words[Kind(entry.kind)](entry, zone)
    by_payment = entry.actor_id is None and entry.kind in {Kind.PURCHASED, Kind.VOIDED, Kind.RESTORED}
    return Change(entry.created_at, what, entry.amount, note, paid=by_payment)


def _allocated(entry: LedgerEntry, zone: ZoneInfo) -> tuple[str, str]:
    # A period knows the plan that it was upgraded to last, not the ones before.
    plan = entry.period.plan.name if entry.period and not entry.follows else ""  # type: ignore[attr-defined]
    if entry.adds:  # type: ignore[attr-defined]
        return f"Upgraded to {plan}" if plan else "Upgraded", f"for the rest of {_dates(entry.period, zone)}"
    return f"{plan} plan" if plan else "Plan credits", _dates(entry.period, zone)


def _forfeited(entry: LedgerEntry, zone: ZoneInfo) -> tuple[str, str]:
    if entry.grant and entry.grant.kind == Grant.Kind.COURTESY:
        return "Courtesy credits expired", ""
    return "Unused credits expired", f"of {_dates(entry.period, zone)}"


def _given(entry: LedgerEntry, zone: ZoneInfo) -> tuple[str, str]:
    # The operator's reason is written for the log, and stays out.
    ends = entry.grant.expires_at if entry.grant else None
    return "Courtesy credits", f"until {formatting.day(ends.astimezone(zone))}" if ends else "a gift from Sidekick"


def _taken_back(entry: LedgerEntry, zone: ZoneInfo) -> tuple[str, str]:
    kind = "bought" if entry.grant and entry.grant.kind == Grant.Kind.PURCHASED else "plan"
    if entry.actor_id:
        return "Corrected", "taken back by our support"
    return ("Refunded", "bought credits") if kind == "bought" else ("Taken back", "the plan\u2019s payment went back")


def _given_back(entry: LedgerEntry, zone: ZoneInfo) -> tuple[str, str]:
    if entry.actor_id:
        return "Corrected", "given back by our support"
    return "Restored", "the payment counts again"


def _dates(period: CreditPeriod | None, zone: ZoneInfo) -> str:
    return formatting.days(*Span(period.starts_at, period.ends_at).days(zone)) if period else ""


def _amount(credits: Decimal) -> str:
    return formatting.credits(credits).removesuffix(".00")
