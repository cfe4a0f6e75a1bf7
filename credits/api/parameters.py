"""The query parameters of readers. Each raises the `Problem` that says what to send instead."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from django.utils.dateparse import parse_date, parse_datetime
from rest_framework.request import Request

from credits.reports.balance import Balance
from credits.reports.spans import Span
from sidekick.api.problems import Problem


def page_number(request: Request) -> int:
    text = request.query_params.get("page", "1")
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 12 and int(text)):
        raise Problem(404, "invalid_page", "Pages are numbered from 1.")
    return int(text)


def span(request: Request, balance: Balance) -> Span:
    """?from= and ?to=, each a moment with an offset or a day of UTC; the current period where they are missing."""
    usual = balance.period
    start = _moment(request, "from", usual.start, timedelta(0))
    end = _moment(request, "to", usual.end, timedelta(days=1))
    if start >= end:
        raise Problem(400, "invalid", "`from` must be before `to`.", errors={"from": ["Not before `to`."]})
    return Span(start, end)


def _moment(request: Request, name: str, default: datetime, whole_day: timedelta) -> datetime:
    text = request.query_params.get(name, "")
    if not text:
        return default
    try:
        # The day first: Django reads a day as a moment without offset, too.
        day = parse_date(text)
        moment = None if day else parse_datetime(text)
    except ValueError:
        moment = day = None
    if day and date(2000, 1, 1) <= day <= date(2100, 1, 1):
        return Span.for_days(day, day, UTC).start + whole_day
    if moment and moment.tzinfo and 2000 <= moment.year <= 2100:
        return moment.astimezone(UTC)
    raise Problem(
        400,
        "invalid",
        f"`{name}` is neither a moment with an offset nor a day.",
        errors={name: ["Give it like 2026-05-01T09:00:00Z or 2026-05-01."]},
    )
