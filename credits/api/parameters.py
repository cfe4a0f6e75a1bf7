"""The query parameters of readers: how OpenAPI describes them, and how requests are read.

Each reader raises the `Problem` that says what to send instead.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from django.utils.dateparse import parse_date, parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework.request import Request

from credits.reports.balance import Balance
from credits.reports.spans import Span
from sidekick.api.problems import Problem

# A day or a moment of this century, or nothing. In a URL the + of an offset is written %2B.
MOMENT = {
    "type": "string",
    "pattern": r"^(20[0-9]{2}-[0-9]{2}-[0-9]{2}([Tt ][0-9:.]+([Zz]|[+-][0-9]{2}:?[0-9]{2}))?)?$",
}
ACCOUNT = OpenApiParameter(
    "account",
    OpenApiTypes.UUID,
    description="Whose. A service key must name it; with an access token it is always the token’s own account.",
)
FROM = OpenApiParameter(
    "from",
    MOMENT,
    description="A moment with its offset, or a day of UTC. Without it, the start of the current period.",
    examples=[OpenApiExample("A day", "2026-11-01")],
)
TO = OpenApiParameter(
    "to",
    MOMENT,
    description="A moment (excluded), or a day of UTC (included). Without it, the end of the current period.",
    examples=[OpenApiExample("A moment", "2026-11-22T09:30:00Z")],
)
MODEL = OpenApiParameter(
    "model",
    {"type": "string", "pattern": r"^[^\x00]*$"},
    description="Only this model’s requests.",
    examples=[OpenApiExample("A model", "claude-sonnet-4-5")],
)
PAGE = OpenApiParameter(
    "page",
    {"type": "integer", "minimum": 1, "default": 1},
    description="20 requests a page, newest first.",
)


def page_number(request: Request) -> int:
    text = request.query_params.get("page", "1")
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 12 and int(text)):
        raise Problem(404, "invalid_page", "Pages are numbered from 1.")
    return int(text)


def model(request: Request) -> str | None:
    return request.query_params.get("model") or None


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
