"""Spans of time, and how few sums cover one.

Usage is summed by quarters of an hour and by days of UTC. Any span [start, end) is then, newest first: the requests
of a cut quarter, whole quarters up to midnight, whole days, whole quarters, the requests of a cut quarter.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from credits.models import UsageRollup

QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The grains of the sums, as SQL parameters.
GRAINS = {"quarter": UsageRollup.Grain.QUARTER, "day": UsageRollup.Grain.DAY}


@dataclass(frozen=True, slots=True)
class Span:
    """[start, end), both aware."""

    start: datetime
    end: datetime

    @classmethod
    def for_days(cls, first: date, last: date, zone: tzinfo) -> Span:
        """Whole days of a time zone, both included."""
        # From midnight to midnight, so a day that gains or loses an hour has 25 or 23.
        return cls(midnight(first, zone), midnight(last + DAY, zone))

    def parts(self) -> dict[str, datetime]:
        """The bounds of whole quarters [q1, q2) and of the whole days [d1, d2) within them, as SQL parameters.

        Where no whole quarter fits, q1 = q2 = end; where no whole day fits, d1 = d2 = q2.
        """
        q1, q2 = _up(self.start, QUARTER), _down(self.end, QUARTER)
        if q1 >= q2:
            q1 = q2 = self.end
        d1, d2 = _up(q1, DAY), _down(q2, DAY)
        if d1 >= d2:
            d1 = d2 = q2
        return {"start": self.start, "end": self.end, "q1": q1, "q2": q2, "d1": d1, "d2": d2}

    def days(self, zone: tzinfo) -> tuple[date, date]:
        """The first day and the last one in a time zone, both included."""
        return self.start.astimezone(zone).date(), (self.end - timedelta(microseconds=1)).astimezone(zone).date()


def midnight(day: date, zone: tzinfo) -> datetime:
    """When a day begins in a time zone, in UTC."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def day_of(moment: datetime) -> datetime:
    """The midnight of UTC at or before a moment."""
    return _down(moment, DAY)


def _down(moment: datetime, length: timedelta) -> datetime:
    return moment - (moment - EPOCH) % length


def _up(moment: datetime, length: timedelta) -> datetime:
    return -((EPOCH - moment) // length) * length + EPOCH
