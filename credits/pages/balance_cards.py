"""The four cards and the bar below them, as words and finished figures (C1, C2)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

from credits.reports.usage import Balance
from sidekick import formatting


@dataclass(frozen=True, slots=True)
class Cards:
    """What `_balance.html` shows. Each list of parts adds up to its card as shown."""

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
    def of(cls, b: Balance, zone: ZoneInfo) -> Cards:
        start, end = b.starts_at.astimezone(zone), b.ends_at.astimezone(zone)
        now = b.as_of.astimezone(zone)
        parts = {"plan": b.plan_left, "additional": b.additional, "courtesy": b.courtesy}
        # Usage without a hold may have taken what was promised to others: no more is held than there is.
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
    """Where the total comes from."""
    if b.rollover:
        parts = dict(formatting.sum_of(b.total, {"plan": b.total - b.rollover, "rolled over": b.rollover}))
        return " + ".join(f"{name} {amount}" for name, amount in parts.items())
    return f"from your {b.plan_name} plan"


def _plan_and_additional(parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Both always stand under Used, even at nothing: it is where a customer looks for them."""
    known = dict(parts)
    return [(name, known.pop(name, "0.00")) for name in ("plan", "additional")] + list(known.items())


def _percent(value: Decimal) -> str:
    if 0 < value < 1:
        return "<1"
    # 99.6 % is not all of it.
    return str(int(value)) if value < 100 else f"{value:,.0f}"
