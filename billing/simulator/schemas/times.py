"""Moments and spans of time as Paddle writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, TypedDict


class Period(TypedDict):
    """A billing period, from its start up to and without its end."""

    starts_at: str
    ends_at: str


class Duration(TypedDict):
    """A billing cycle or a trial: so many days, weeks, months or years."""

    interval: Literal["day", "week", "month", "year"]
    frequency: int


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def period(starts: datetime, ends: datetime) -> Period:
    return {"starts_at": iso(starts), "ends_at": iso(ends)}
