"""Rows of the three tables, as finished words and markup."""

from __future__ import annotations

import html
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from credits.pages.chart import REST, Chart
from credits.reports.history import Change
from credits.reports.usage import ModelUsage, UsageRow
from sidekick import formatting


def request_rows(rows: list[UsageRow], zone: ZoneInfo) -> SafeString:
    """`_request_row.html` has the markup of one row, with the places to fill numbered; every value is escaped."""
    # All rows in one pass: cell by cell, Django's template took longer than all queries together.
    markup = render_to_string("credits/_request_row.html")
    return mark_safe("".join([markup.format(*map(html.escape, _cells(row, zone))) for row in rows]))  # noqa: S308


def model_rows(sums: list[ModelUsage], chart: Chart | None) -> dict[str, Any]:
    """`rows` and their `total` for the Models table. Each row has the colour that the chart gives its model."""
    if not sums:
        return {"rows": [], "total": None}
    total = ModelUsage.sum_of(sums, name="Total")
    colours = chart.colours if chart else {}
    # The same figures in every order of the table: those with the most credits get what is over.
    ranked = sorted(sums, key=lambda each: (-each.credits, each.model))
    parts = [each.credits for each in ranked]
    figures = zip(formatting.adding_up(parts), formatting.shares(parts), strict=True)
    shown = dict(zip((each.model for each in ranked), figures, strict=True))
    rows = [
        _model_row(each, *shown[each.model]) | _bar(each, total) | {"colour": colours.get(each.model, REST)}
        for each in sums
    ]
    return {
        "rows": rows,
        "total": _model_row(total, formatting.credits(total.credits), "100.0%" if total.credits else "–"),
    }


def change_row(change: Change, zone: ZoneInfo) -> dict[str, Any]:
    moment = change.at.astimezone(zone)
    return {
        "what": change.what,
        "note": change.note,
        "day": formatting.day(change.day or moment),
        "clock": "" if change.day else formatting.clock(moment, seconds=False),
        "iso": change.day.isoformat() if change.day else moment.isoformat(timespec="seconds"),
        "change": (shown := formatting.change(change.change)),
        "long": _long(shown),
        "change_exact": formatting.exact(change.change),
        "balance": formatting.credits(change.balance),
        "balance_exact": formatting.exact(change.balance),
        "gain": change.change > 0,
        # A day that the span cuts has fewer requests than its page would show.
        "requests": f"?range=custom&from={change.day}&to={change.day}" if change.whole else "",
        "paid": change.paid,
    }


def _cells(row: UsageRow, zone: ZoneInfo) -> tuple[str, ...]:
    moment = row.occurred_at.astimezone(zone)
    return (
        row.request_id,
        moment.isoformat(timespec="seconds"),
        formatting.day(moment),
        formatting.clock(moment),
        row.model,
        f"{row.input_tokens:,}",
        f"{row.output_tokens:,}",
        f"{row.cache_read_tokens:,}",
        f"{row.cache_write_tokens:,}",
        f"{row.total_tokens:,}",
        shown := formatting.credits(row.credits),
        formatting.exact(row.credits),
        _long(shown),
    )


def _bar(usage: ModelUsage, total: ModelUsage) -> dict[str, str]:
    share = usage.credits / total.credits * 100 if total.credits else Decimal(0)
    return {"bar": f"{min(max(share, Decimal(0)), Decimal(100)):.2f}"}


def _model_row(usage: ModelUsage, credits: str, share: str) -> dict[str, str]:
    return {
        "model": usage.model,
        "requests": f"{usage.requests:,}",
        "input": f"{usage.input_tokens:,}",
        "output": f"{usage.output_tokens:,}",
        "cache_read": f"{usage.cache_read_tokens:,}",
        "cache_write": f"{usage.cache_write_tokens:,}",
        "credits": credits,
        "long": _long(credits),
        "exact": formatting.exact(usage.credits),
        "share": share,
    }


def _long(shown: str) -> str:
    # A figure that would cover the heading of its row on a phone gets a line of its own.
    return " long" if len(shown) > 9 else ""
